"""The part of Restate's admin API that registration needs.

A failure is either a RefusedError, which is final, or an UnavailableError, which may pass. Messages are one readable
sentence and never contain the API key. Redirects are not followed, because they would carry the key to another host.
"""

import http.client
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

REQUEST_SECONDS = 20
LONGEST_MESSAGE = 400
DEVELOPMENT_SERVER = "development-server"  # in a deployment's metadata: may be taken over by any registration
REGISTRATION = "restate-lambda-cdk:"  # in a deployment's metadata, before the name of a registration that asked for it
KEPT = ("arn", "uri", "assume_role_arn", "additional_headers", "metadata", "auth")  # of a deployment, when promoted

# An invocation is pinned to a deployment by its first answer. Until then, that may be the one that it is running on.
RUNS_ON = "coalesce(pinned_deployment_id, CASE WHEN status = 'running' THEN last_attempt_deployment_id END)"


class AdminError(Exception):
    """Restate rejected a request or could not be asked. The message is for people."""


class RefusedError(AdminError):
    """A final answer: retrying would not help."""


class UnavailableError(AdminError):
    """No answer, or one that may change soon."""


@dataclass(frozen=True)
class Deployment:
    """A function version that Restate knows. `arn` is None for a server that is reached over HTTP at its `address`.

    revisions: the revision of each service that it offers. The highest revision of a service is the latest.
    registrations: the registrations that asked for it, each with its last request and, after a space, the role that
        another registration has changed. It may also have been registered by hand.
    as_registered: the request that registers it again.
    """

    id: str
    arn: str | None
    role: str | None
    revisions: Mapping[str, int]
    address: str
    gives_way: bool
    registrations: Mapping[str, str]
    as_registered: Mapping[str, Any]

    @property
    def services(self) -> frozenset[str]:
        return frozenset(self.revisions)


@dataclass(frozen=True)
class Service:
    """A revision of a service: its deployment, its type (`Service`, `VirtualObject` or `Workflow`), its handlers, and
    whether callers from outside may call it."""

    name: str
    deployment_id: str
    type: str
    handlers: frozenset[str]
    is_public: bool


@dataclass(frozen=True)
class Registration:
    """Restate's answer to a registration. `new` if it did not know that version before."""

    id: str
    new: bool
    services: dict[str, Service]


@dataclass(frozen=True)
class Admin:
    """The admin API at `url`. Every method raises RefusedError or UnavailableError."""

    url: str
    api_key: str | None = field(default=None, repr=False)

    def check_health(self) -> None:
        self._ask("GET", "/health")

    def register(
        self,
        arn: str,
        role: str | None,
        *,
        force: bool = False,
        breaking: bool = False,
        dry_run: bool = False,
        registrations: Mapping[str, str] | None = None,
    ) -> Registration:
        """Register the function version `arn`, which Restate may invoke through `role`.

        A new version becomes the latest of its services. A known one is left alone unless `force` is set: then it is
        discovered again and becomes the latest. With `dry_run` it is discovered, and nothing changes. `registrations`
        replaces what is noted of the deployment that becomes the latest.
        """
        metadata = {f"{REGISTRATION}{name}": by for name, by in (registrations or {}).items()}
        request = {"arn": arn, "force": force, "breaking": breaking, "dry_run": dry_run, "metadata": metadata}
        status, answer = self._ask("POST", "/deployments", request | ({"assume_role_arn": role} if role else {}))
        services = [_service(service) for service in answer["services"]]
        return Registration(
            answer["id"], status == http.client.CREATED, {service.name: service for service in services}
        )

    def services(self) -> dict[str, Service]:
        """The services by name, each in its latest revision."""
        _, answer = self._ask("GET", "/services")
        return {service["name"]: _service(service) for service in answer["services"]}

    def deployments(self) -> list[Deployment]:
        _, answer = self._ask("GET", "/deployments")
        return [
            Deployment(
                deployment["id"],
                deployment.get("arn"),
                deployment.get("assume_role_arn"),
                {service["name"]: service["revision"] for service in deployment["services"]},
                deployment.get("arn") or deployment.get("uri") or deployment["id"],
                DEVELOPMENT_SERVER in deployment.get("metadata", {}),
                {
                    name.removeprefix(REGISTRATION): by
                    for name, by in deployment.get("metadata", {}).items()
                    if name.startswith(REGISTRATION)
                },
                {name: deployment[name] for name in KEPT if name in deployment}
                | ({"use_http_11": True} if deployment.get("http_version") == "HTTP/1.1" else {}),
            )
            for deployment in answer["deployments"]
        ]

    def promote(self, deployment: Deployment) -> None:
        """Make a deployment, of any owner, the latest of its services again."""
        self._ask(
            "POST", "/deployments", {**deployment.as_registered, "force": True, "breaking": True, "dry_run": False}
        )

    def change_role(self, deployment_id: str, role: str) -> None:
        self._ask("PATCH", f"/deployments/{quote(deployment_id, safe='')}", {"assume_role_arn": role})

    def close(self, service: str) -> None:
        """Make a service private, so that no new call from outside begins. The next registration opens it again."""
        self._ask("PATCH", f"/services/{quote(service, safe='')}", {"public": False}, ignore_missing=True)

    def remove(self, deployment_id: str) -> None:
        """Delete a deployment, even if invocations are pinned to it. It may be gone already."""
        self._ask("DELETE", f"/deployments/{quote(deployment_id, safe='')}?force=true", ignore_missing=True)

    def unfinished(self, deployment_ids: Iterable[str], unpinned_of: Iterable[str] = ()) -> list[str]:
        """Ids of invocations that run on these deployments, or are not yet pinned and meant for these services."""
        pinned = f"{RUNS_ON} IN ({quoted(deployment_ids)})"
        waiting = f"pinned_deployment_id IS NULL AND target_service_name IN ({quoted(unpinned_of)})"
        query = f"SELECT id FROM sys_invocation WHERE status != 'completed' AND ({pinned} OR ({waiting}))"
        return [row["id"] for row in self.query(query)]

    def unfinished_on_older_versions(self, services: Iterable[str]) -> list[str]:
        """Ids of invocations of these services that run on a deployment which is the latest of no service."""
        query = (
            "SELECT id FROM sys_invocation WHERE status != 'completed' AND target_service_name IN "
            f"({quoted(services)}) AND {RUNS_ON} NOT IN (SELECT deployment_id FROM sys_service)"
        )
        return [row["id"] for row in self.query(query)] if services else []

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Query Restate's introspection tables."""
        _, answer = self._ask("POST", "/query", {"query": sql})
        return answer["rows"]

    def kill(self, invocation_id: str) -> None:
        """End an invocation without running any more of its code. It may have ended already."""
        self._ask("PATCH", f"/invocations/{quote(invocation_id, safe='')}/kill", ignore_missing=True)

    def _ask(self, method: str, path: str, body: object = None, *, ignore_missing: bool = False) -> tuple[int, Any]:
        status, text = self._exchange(method, path, None if body is None else json.dumps(body))
        if ignore_missing and status in (http.client.NOT_FOUND, http.client.CONFLICT):
            return status, None
        if not 200 <= status < 300:
            raise self._error(status, text)
        try:
            return status, json.loads(text) if text else None
        except ValueError:
            raise RefusedError(f"{self.url} did not answer with JSON: is it Restate's admin API?") from None

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        parts = urlsplit(self.url)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "registration"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        connection = connect(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            why = f"Restate's admin API at {self.url} cannot be reached ({str(error) or repr(error)})"
            raise UnavailableError(
                f"{why}: check the URL, that Restate is running, and that this function can reach it."
            ) from error
        finally:
            connection.close()

    def _error(self, status: int, text: str) -> AdminError:
        """What a status and a body, which is not always JSON, mean to people."""
        try:
            answer = json.loads(text)
            said, code = str(answer["message"]), answer.get("restate_code")
        except (ValueError, KeyError, TypeError):
            said, code = text, None
        said = _readable(said.replace(self.api_key, "***") if self.api_key else said) or "no reason given"
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            rejected = "rejected the API key", "check that the secret holds a valid one with the Admin role"
            missing = "requires an API key", "pass its secret as auth_token"
            what, todo = rejected if self.api_key else missing
            return RefusedError(f"Restate's admin API at {self.url} {what} ({status}: {said}): {todo}.")
        if code == "META0003" and "returned an error during execution" in said:
            return RefusedError(f"The function failed during service discovery: see its log. {said}")
        if code == "META0003":
            return UnavailableError(f"Restate cannot invoke the function: check the permissions of its role. {said}")
        if status >= 500 or status in (http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS):
            return UnavailableError(f"Restate answered {status}: {said}")
        if code:
            return RefusedError(f"Restate answered {status}: {said}")
        return RefusedError(f"{self.url} answered {status} ({said}): is it Restate's admin API, usually on port 9070?")


def _service(answer: dict[str, Any]) -> Service:
    handlers = frozenset(handler["name"] for handler in answer["handlers"])
    return Service(answer["name"], answer["deployment_id"], answer["ty"], handlers, answer.get("public", True))


def quoted(values: Iterable[str]) -> str:
    """A list of strings in SQL, whatever they contain."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values) or "NULL"


def _readable(said: str) -> str:
    """The message on one line, shortened, without the debug dump of the AWS SDK that Restate may add."""
    one_line = " ".join(re.sub(r"\(\w*Error\(\w+ \{.*", "", said, flags=re.DOTALL).split())
    return one_line if len(one_line) <= LONGEST_MESSAGE else one_line[:LONGEST_MESSAGE] + "…"
