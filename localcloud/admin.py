"""Restate's admin API, as far as local commands and tests need it."""

from collections.abc import Iterable
from typing import Any

import httpx

from localcloud.environment import LocalCloudError
from localcloud.invocations import unfinished


class Admin:
    """The admin API at `url`."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def register(self, address: dict[str, str], metadata: dict[str, str] | None = None) -> None:
        """Make the deployment at this `uri` or `arn` the latest of its services. Raises LocalCloudError."""
        body = {**address, "force": True, "breaking": True} | ({"metadata": metadata} if metadata else {})
        answer = self._http.post("/deployments", json=body)
        if answer.is_error:
            raise LocalCloudError(f"Restate does not register {next(iter(address.values()))}: {answer.text}")

    def register_versions(self, arns: Iterable[str]) -> None:
        """Make these function versions the latest deployments of their services. Raises LocalCloudError."""
        for arn in arns:
            self.register({"arn": arn})

    def find(self, uri: str) -> str | None:
        """The id of the deployment at this address."""
        deployments: list[dict[str, Any]] = self._http.get("/deployments").json()["deployments"]
        return next((found["id"] for found in deployments if found.get("uri", "").rstrip("/") == uri), None)

    def unfinished(self, deployment: str) -> int:
        """How many invocations will only ever continue on this deployment."""
        return len(self.query(unfinished(f"pinned = '{deployment}'", "id")))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate's introspection tables."""
        answer = self._http.post("/query", json={"query": sql}, headers={"accept": "application/json"})
        return answer.raise_for_status().json()["rows"]

    def remove(self, deployment: str) -> None:
        """Remove a deployment that nothing is pinned to."""
        self._http.delete(f"/deployments/{deployment}", params={"force": "true"}).raise_for_status()
