"""A fake of Restate's admin API, with those of the real server's rules that registration depends on.

Known versions are left alone unless forced, the highest revision is the latest, a service changes its type only if
breaking changes are allowed, and a forced removal leaves invocations behind.
Faults are scheduled: each of `answers_before` is given once, in place of the real answer. None is no fault: that
request is answered normally.
"""

import itertools
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response

from http_server import path_of, serving

Answer = tuple[int, dict[str, Any] | str | None]
IDS = itertools.count(1)  # for all fakes: no two servers give the same id


@dataclass
class Known:
    """A registered deployment: the revisions of its services by name, and what service discovery found.

    A server's URL is in `arn`.
    """

    id: str
    arn: str
    role: str | None
    services: dict[str, int]
    offered: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    closed: set[str] = field(default_factory=set[str])


@dataclass
class FakeAdmin:
    """What Restate knows, and which requests it received.

    `offers` has each version's services and their handlers, and `objects` the versions that have virtual objects.
    If `roles` is not empty, only they may invoke a function; a known version is invoked only if forced.
    `unfinished` maps an invocation to the deployment that it is pinned to; one that is not pinned yet is named
    `<service>.<anything>`. `on_older_versions` are invocations, with such names, that are pinned to a deployment that
    is not the latest. `first_attempts` maps an invocation, with such a name, to the deployment that runs it but has
    not answered yet. `late` are invocations that are pinned to a deployment at the moment it is removed.
    """

    url: str = ""
    api_key: str | None = None
    offers: dict[str, dict[str, list[str]]] = field(default_factory=dict[str, dict[str, list[str]]])
    objects: set[str] = field(default_factory=set[str])
    roles: set[str | None] = field(default_factory=set[str | None])
    known: dict[str, Known] = field(default_factory=dict[str, Known])
    unfinished: dict[str, str | None] = field(default_factory=dict[str, str | None])
    on_older_versions: list[str] = field(default_factory=list[str])
    first_attempts: dict[str, str] = field(default_factory=dict[str, str])
    late: list[str] = field(default_factory=list[str])
    closed: set[str] = field(default_factory=set[str])
    answers_before: list[Answer | None] = field(default_factory=list[Answer | None])
    asked: list[str] = field(default_factory=list[str])
    queries: list[str] = field(default_factory=list[str])
    keys: list[str | None] = field(default_factory=list[str | None])
    killed: list[str] = field(default_factory=list[str])
    _revision: int = 0

    def latest(self, service: str) -> str | None:
        """The ARN of the version that gets the service's new work."""
        found = max(self._revisions(service), default=None)
        return self.known[found[1]].arn if found else None

    def is_open(self, service: str) -> bool:
        """Whether the service can be called through the ingress."""
        return next(self._service(*found)["public"] for found in self._latest() if found[0] == service)

    def arns(self) -> set[str]:
        return {known.arn for known in self.known.values()}

    def answer(self, method: str, path: str, body: dict[str, Any], key: str | None) -> Answer:
        dry = " dry" if body.get("dry_run") else ""
        forced = " forced" if body.get("force") and not dry else ""
        self.asked.append(f"{method} {path}{dry}{forced}")
        self.keys.append(key)
        if self.answers_before and (fault := self.answers_before.pop(0)):
            return fault
        if self.api_key and key != f"Bearer {self.api_key}":
            return 401, f"bad key {key}"
        name = path.split("/")[-1].split("?")[0]
        match method, path.split("/")[1]:
            case "GET", "health":
                return 200, None
            case "GET", "services":
                return 200, {"services": [self._service(*found) for found in self._latest()]}
            case "GET", "deployments":
                return 200, {"deployments": [self._deployment(known) for known in self.known.values()]}
            case "POST", "deployments":
                return self._register(body)
            case "PATCH", "deployments":
                self.known[name].role = body["assume_role_arn"]
                return 200, self._deployment(self.known[name])
            case "PATCH", "services":
                for served, deployment_id, _ in self._latest():
                    if served == name and body == {"public": False}:
                        self.closed.add(name)
                        self.known[deployment_id].closed.add(name)
                return 200, {}
            case "DELETE", "deployments":
                self.unfinished |= dict.fromkeys(self.late, name)
                return (202, None) if self.known.pop(name, None) else (404, {"message": "not found"})
            case "POST", "query":
                self.queries.append(body["query"])
                return 200, {"rows": [{"id": invocation} for invocation in self._matching(body["query"])]}
            case "PATCH", "invocations":
                self.killed.append(path.split("/")[2])
                return (
                    (200, None) if self.unfinished.pop(path.split("/")[2], "no") != "no" else (409, {"message": "over"})
                )
            case _:
                return 404, None

    def _register(self, body: dict[str, Any]) -> Answer:
        arn, role = body.get("arn") or body["uri"], body.get("assume_role_arn")
        found = next((known for known in self.known.values() if known.arn == arn), None)
        if found and not body["force"]:
            return 200, {"id": found.id, "services": found.offered}
        if self.roles and role not in self.roles:
            return 500, {"message": "AccessDeniedException", "restate_code": "META0003"}
        deployment = found or Known(f"dp_{next(IDS)}", arn, role, {})
        services = [self._service(name, "", arn) | {"deployment_id": deployment.id} for name in self.offers[arn]]
        if not body["dry_run"]:
            if not body.get("breaking") and self._changes_type(arn):
                return 409, {"message": "another type", "restate_code": "META0006"}
            self._revision += 1
            deployment.role, deployment.services = role, dict.fromkeys(self.offers[arn], self._revision)
            deployment.offered, deployment.metadata = services, body.get("metadata", {})
            deployment.closed = set()
            self.known[deployment.id] = deployment
        return (200 if found else 201), {"id": deployment.id, "services": services}

    def _changes_type(self, arn: str) -> bool:
        live = {name: address in self.objects for name, _, address in self._latest()}
        return any(live.get(name, arn in self.objects) != (arn in self.objects) for name in self.offers[arn])

    def _revisions(self, service: str) -> list[tuple[int, str]]:
        return [(known.services[service], known.id) for known in self.known.values() if service in known.services]

    def _latest(self) -> list[tuple[str, str, str]]:
        names = {service for known in self.known.values() for service in known.services}
        latest = [(name, max(self._revisions(name))[1]) for name in sorted(names)]
        return [(name, deployment_id, self.known[deployment_id].arn) for name, deployment_id in latest]

    def _service(self, name: str, deployment_id: str, arn: str) -> dict[str, Any]:
        handlers = [{"name": handler} for handler in self.offers[arn][name]]
        kind = "VirtualObject" if arn in self.objects else "Service"
        is_public = deployment_id not in self.known or name not in self.known[deployment_id].closed
        whose = {"name": name, "deployment_id": deployment_id}
        return {**whose, "ty": kind, "handlers": handlers, "public": is_public}

    def _deployment(self, known: Known) -> dict[str, Any]:
        role = {"assume_role_arn": known.role} if known.role else {}
        services = [{"name": name, "revision": revision} for name, revision in known.services.items()]
        address = {"uri" if known.arn.startswith("http") else "arn": known.arn}
        metadata = {"metadata": known.metadata} if known.metadata else {}
        return {"id": known.id, "services": services} | address | metadata | role

    def _matching(self, query: str) -> list[str]:
        running = self.first_attempts if "last_attempt_deployment_id" in query else {}
        if "NOT IN (SELECT deployment_id FROM sys_service)" in query:
            callers = re.findall(r"'([^']*)'", query.partition("target_service_name")[2])
            latest = {deployment for _, deployment, _ in self._latest()}
            older = self.on_older_versions + [each for each, on in running.items() if on not in latest]
            return [each for each in older if each.split(".")[0] in callers]
        pinned, waiting = (set(re.findall(r"'([^']*)'", part)) for part in query.split("pinned_deployment_id IS NULL"))
        pinned.discard("completed")
        return [
            invocation
            for invocation, deployment in (self.unfinished | dict.fromkeys(self.first_attempts) | running).items()
            if deployment in pinned or (deployment is None and invocation.split(".")[0] in waiting)
        ]


@contextmanager
def served(fake: FakeAdmin) -> Generator[FakeAdmin]:
    """Serve the fake on a free loopback port."""

    def answer(request: Request) -> Response:
        body = json.loads(request.get_data() or "{}")
        status, said = fake.answer(request.method, path_of(request), body, request.headers.get("Authorization"))
        return Response(said if isinstance(said, str) else "" if said is None else json.dumps(said), status)

    with serving(answer) as fake.url:
        yield fake
