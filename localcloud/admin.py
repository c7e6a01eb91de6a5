"""A client of Restate's admin API for programs: local commands, the acceptance and tests.

It keeps connections open, never uses a proxy, retries queries while Restate starts, and raises httpx's errors.
demo.restate is a second client because its commands need the opposite: no retries, the caller's proxy for a Restate
elsewhere, and every error in one sentence without the key.
"""

import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any

import httpx

from localcloud.environment import LocalCloudError
from localcloud.invocations import unfinished

TIMEOUT = 60.0


class Admin:
    """The admin API of one Restate. Its methods raise httpx's errors.

    Args:
        url: Where it is.
        key: An API key, if it requires one. Default: none.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url, self._key = url, key

    @cached_property
    def _http(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx.Client(base_url=self._url, headers=headers, trust_env=False, timeout=TIMEOUT)

    def deployments(self) -> list[dict[str, Any]]:
        """Everything that is registered."""
        return self._http.get("/deployments").raise_for_status().json()["deployments"]

    def services(self) -> list[dict[str, Any]]:
        """Every service, each with the deployment that is its latest."""
        return self._http.get("/services").raise_for_status().json()["services"]

    def version(self) -> str:
        """The server's."""
        return self._http.get("/version").raise_for_status().json()["version"]

    def register(self, address: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
        """Make a deployment the latest of its services.

        Args:
            address: `{"uri": …}` or `{"arn": …}`.
            metadata: What Restate keeps with it. Default: nothing.

        Raises:
            LocalCloudError: Restate could not register it.
        """
        body = {**address, "force": True, "breaking": True} | ({"metadata": metadata} if metadata else {})
        answer = self._http.post("/deployments", json=body)
        if answer.is_error:
            raise LocalCloudError(f"Restate could not register {next(iter(address.values()))}: {answer.text}")

    def register_versions(self, arns: Iterable[str]) -> None:
        """Make function versions the latest deployments of their services.

        Args:
            arns: Those of the versions.

        Raises:
            LocalCloudError: Restate could not register one.
        """
        for arn in arns:
            self.register({"arn": arn})

    def find(self, uri: str) -> str | None:
        """The id of the deployment at this address."""
        return next((found["id"] for found in self.deployments() if found.get("uri", "").rstrip("/") == uri), None)

    def remove(self, deployment: str) -> None:
        """Deregister a deployment, even if invocations are pinned to it."""
        self._http.delete(f"/deployments/{deployment}", params={"force": "true"}).raise_for_status()

    def publish(self, service: str, *, public: bool) -> None:
        """Make a service public or private at the ingress, until it is registered again."""
        self._http.patch(f"/services/{service}", json={"public": public}).raise_for_status()

    def operate(self, verb: str, invocation: str) -> dict[str, Any]:
        """Cancel, kill, pause, resume or purge (`verb`) an invocation; returns Restate's response."""
        answer = self._http.patch(f"/invocations/{invocation}/{verb}").raise_for_status()
        return answer.json() if answer.content else {}

    def try_again(self, invocation: str) -> None:
        """Retry an invocation now. Restate answers 409 if it is running or has ended, which is ignored."""
        answer = self._http.patch(f"/invocations/{invocation}/resume")
        if answer.status_code != HTTPStatus.CONFLICT:
            answer.raise_for_status()

    def unfinished(self, deployment: str) -> int:
        """How many invocations will only ever continue on this deployment."""
        return len(self.query(unfinished(f"pinned = '{deployment}'", "id")))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Query Restate's introspection tables. For a moment after a start it answers 500, and is retried."""
        deadline = time.monotonic() + TIMEOUT
        while (answer := self._query(sql)).is_server_error and time.monotonic() < deadline:
            time.sleep(0.05)
        return answer.raise_for_status().json()["rows"]

    def _query(self, sql: str) -> httpx.Response:
        return self._http.post("/query", json={"query": sql}, headers={"accept": "application/json"})
