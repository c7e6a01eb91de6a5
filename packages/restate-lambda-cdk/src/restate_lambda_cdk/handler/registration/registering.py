"""How a function version becomes the one that Restate sends new work to, and how a function is taken out again.

All of it may run again at any time: CloudFormation repeats itself, and rolls back by asking for the old version once
more. Restate knows that version then, and knowing it is not enough: it has to be made the latest again.
"""

import logging
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from registration.admin import Admin, Deployment, RefusedError, Service, UnavailableError
from registration.deadline import Deadline

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PROPAGATION_SECONDS = 120  # what a new role, or a new permission of it, may take to be known in all of AWS
ARN_COLONS = 7  # of arn:aws:lambda:<region>:<account>:function:<name>:<version>
UNREACHABLE_SECONDS = 20  # for a removal, which can do without


@dataclass(frozen=True)
class Version:
    """A published version of a function, the service that it has to offer, and the role to invoke it through."""

    arn: str
    service: str
    role: str | None = None
    allow_breaking_changes: bool = False
    take_over: bool = False

    @property
    def function(self) -> str:
        return function_of(self.arn)

    @property
    def published(self) -> bool:
        """Not an alias, not `$LATEST`, not the function itself: those change under an invocation in flight."""
        return self.arn.rpartition(":")[2].isdecimal() and self.arn.count(":") == ARN_COLONS

    def is_no_newer_than(self, other: "Version") -> bool:
        """Of the same function, whose versions are numbered in the order in which they are published."""
        if self.function != other.function or not (self.published and other.published):
            return False
        return int(self.arn.rpartition(":")[2]) <= int(other.arn.rpartition(":")[2])


@dataclass(frozen=True)
class Before:
    """What an update replaces: a version, and whether it was registered in the same place.

    CloudFormation does not say whether it goes forward or rolls back.
    """

    version: Version
    same_place: bool


def function_of(arn: str | None) -> str:
    """The function's ARN, of a version's."""
    return (arn or "").rpartition(":")[0]


def versions_of(admin: Admin, version: Version) -> list[Deployment]:
    """All that Restate knows of the function, this version and others."""
    return [known for known in admin.deployments() if function_of(known.arn) == version.function]


def register(admin: Admin, version: Version, deadline: Deadline, before: Before | None = None) -> str | None:
    """Make `version` the latest of its service, and return its deployment's id. Raises AdminError.

    None where a rollback comes back to a service that another function serves, which is left alone.
    """
    retry(deadline, admin.check_health)
    if not retry(deadline.at_most(PROPAGATION_SECONDS), lambda: discover(admin, version, before)):
        retry(deadline, lambda: assign_role(admin, version))
        return None
    breaking = version.allow_breaking_changes
    deployment = retry(deadline, lambda: admin.register(version.arn, version.role, breaking=breaking))
    if not deployment.new:
        retry(deadline, lambda: revive(admin, version, deployment.id))
    retry(deadline, lambda: assign_role(admin, version))
    retry(deadline, lambda: check_latest(admin, version, deployment.id))
    return deployment.id


def discover(admin: Admin, version: Version, before: Before | None) -> bool:
    """Check what the function offers before any of it goes live; forced, or Restate would answer from memory.

    False if nothing may go live, and that is no failure.
    """
    found = admin.register(version.arn, version.role, force=True, dry_run=True)
    if version.service not in found.services:
        offered = ", ".join(sorted(found.services)) or "nothing"
        raise RefusedError(f"{version.arn} was expected to offer the service {version.service}, but offers {offered}.")
    services = admin.services()
    servers = {known.id: known for known in admin.deployments()}
    taken = taken_over(found.services.keys() & services.keys(), services, servers, version, before)
    if taken and not version.take_over:
        # To refuse what the registration had before would leave the stack in UPDATE_ROLLBACK_FAILED.
        if before and (not found.new or (before.same_place and version.is_no_newer_than(before.version))):
            log.warning("%s, and so left alone: %s is not made the latest", taken, version.arn)
            return False
        raise RefusedError(f"{taken}: remove that deployment, register with another Restate, or set take_over.")
    live = services.get(version.service)
    server = servers.get(live.deployment_id) if live else None
    if live and server and not server.gives_way and found.new and not version.allow_breaking_changes:
        refuse_breaking_change(live, found.services[version.service])
    return True


def taken_over(
    names: Set[str],
    services: Mapping[str, Service],
    servers: Mapping[str, Deployment],
    version: Version,
    before: Before | None,
) -> str | None:
    """Which service would be taken from whom, if any would: from another function, or a server by URL.

    Not from the function that this registration had before, and not from `make serve` and its like.
    """
    own = {version.function, *([before.version.function] if before else [])}
    for name in sorted(names):
        server = servers.get(services[name].deployment_id)
        if server is None:
            raise UnavailableError(f"Restate is just changing who serves {name}.")
        if not server.gives_way and function_of(server.arn) not in own:
            return f"{name} is served by {server.address} already (deployment {server.id})"
    return None


def refuse_breaking_change(live: Service, offered: Service) -> None:
    """Restate itself refuses another type only, and says nothing of handlers that are gone."""
    gone = ", ".join(sorted(live.handlers - offered.handlers))
    if offered.type != live.type:
        change = f"would turn from a {live.type} into a {offered.type}"
    elif gone:
        change = f"would lose {gone}"
    else:
        return
    raise RefusedError(f"{live.name} {change}, which callers may rely on: keep it, or set allow_breaking_changes.")


def revive(admin: Admin, version: Version, deployment_id: str) -> None:
    """Make a version that Restate knew already the latest again, if it is not; force also drops a role."""
    role = next((known.role for known in admin.deployments() if known.id == deployment_id), None)
    latest = admin.services().get(version.service)
    if latest is None or latest.deployment_id != deployment_id or (role and not version.role):
        admin.register(version.arn, version.role, force=True, breaking=True)


def assign_role(admin: Admin, version: Version) -> None:
    """Have all versions of the function invoked through the role: an older one may still have work to finish, and the
    role that it was introduced with may be about to go."""
    for known in versions_of(admin, version):
        if version.role and known.role != version.role:
            admin.change_role(known.id, version.role)


def check_latest(admin: Admin, version: Version, deployment_id: str) -> None:
    latest = admin.services().get(version.service)
    if latest is None or latest.deployment_id != deployment_id:
        raise UnavailableError(f"Restate does not send new work for {version.service} to {version.arn} yet.")


def prune(admin: Admin, version: Version, keep: Set[str]) -> None:
    """Forget drained older versions of the function, except the ARNs in `keep`.

    Never one that is still the latest of any service, or that has work pinned to it.
    """
    live = {service.deployment_id for service in admin.services().values()}
    for old in versions_of(admin, version):
        if old.arn not in keep and old.id not in live and not admin.unfinished([old.id]):
            log.info("forgetting drained %s (%s)", old.arn, old.id)
            admin.remove(old.id)


def remove(admin: Admin, version: Version, deadline: Deadline, *, drain_seconds: float = 0) -> None:
    """Take the function, in all its versions, out of Restate as soon as its work is done or `drain_seconds` are over.

    Nothing new is let in meanwhile. Work that is left is killed, because it would be retried for ever and block its
    key. Raises AdminError.
    """
    deployments = retry(deadline.at_most(UNREACHABLE_SECONDS), admin.deployments)
    ours = {known.id: known.services for known in deployments if function_of(known.arn) == version.function}
    others = {service for known in deployments if known.id not in ours for service in known.services}
    orphans = {service for services in ours.values() for service in services} - others
    for service in orphans:
        retry(deadline, partial(admin.close, service))
    draining = deadline.at_most(drain_seconds)
    with suppress(UnavailableError):
        retry(draining, lambda: check_drained(admin, ours.keys(), orphans, draining))
    retry(deadline, lambda: kill_unfinished(admin, ours.keys(), orphans))
    for deployment_id in ours:
        log.info("removing deployment %s", deployment_id)
        retry(deadline, partial(admin.remove, deployment_id))
    retry(deadline, lambda: kill_unfinished(admin, ours.keys(), orphans))  # what came in meanwhile


def check_drained(admin: Admin, deployment_ids: Set[str], services: Set[str], deadline: Deadline) -> None:
    """Look twice: while one of Restate's partitions hands an undo or a notice to another, it is no invocation yet."""
    check_idle(admin, deployment_ids, services)
    deadline.pause()
    check_idle(admin, deployment_ids, services)


def check_idle(admin: Admin, deployment_ids: Set[str], services: Set[str]) -> None:
    if unfinished := admin.unfinished(deployment_ids, services):
        raise UnavailableError(f"Waiting for {len(unfinished)} invocations, {unfinished[0]} among them.")


def kill_unfinished(admin: Admin, deployment_ids: Set[str], services: Set[str]) -> None:
    for invocation_id in admin.unfinished(deployment_ids, services):
        log.warning("killing invocation %s, which is unfinished", invocation_id)
        admin.kill(invocation_id)


def retry(deadline: Deadline, ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer. When time is up, the last reason is raised with what was waited for."""
    reason = ""
    for _ in deadline.tries():
        try:
            return ask()
        except UnavailableError as error:
            if str(error) != reason:
                reason = str(error)
                log.warning("will ask again: %s", reason)
    raise UnavailableError(f"Gave up after {deadline.seconds:.0f} seconds: {reason}")
