"""How a function version becomes the one that Restate sends new work to, and how a function is taken out again.

All of it may run again at any time: CloudFormation repeats itself, and rolls back by asking for the old version once
more. Restate knows that version then, and knowing it is not enough: it has to be made the latest again.
"""

import logging
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from registration.admin import Admin, Refused, Unavailable
from registration.patience import Patience

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PROPAGATION_SECONDS = 120  # what a new role, or a new permission of it, may take to be known in all of AWS
UNREACHABLE_SECONDS = 20  # for a removal, which can do without


@dataclass(frozen=True)
class Version:
    """A published version of a function, the service that it has to offer, and the role to invoke it through."""

    arn: str
    service: str
    role: str | None = None
    allow_breaking_changes: bool = False

    @property
    def function(self) -> str:
        return function_of(self.arn)


def function_of(arn: str | None) -> str:
    """The function's ARN, of a version's."""
    return (arn or "").rpartition(":")[0]


def introduce(admin: Admin, version: Version, patience: Patience) -> str:
    """Make `version` the latest of its service, and return its deployment's id. Raises AdminError."""
    persist(patience, admin.check_health)
    persist(patience.at_most(PROPAGATION_SECONDS), lambda: discover(admin, version))
    breaking = version.allow_breaking_changes
    deployment = persist(patience, lambda: admin.register(version.arn, version.role, breaking=breaking))
    if not deployment.new:
        persist(patience, lambda: revive(admin, version, deployment.id))
    persist(patience, lambda: check_latest(admin, version, deployment.id))
    return deployment.id


def discover(admin: Admin, version: Version) -> None:
    """Check what the function offers before any of it goes live; forced, or Restate would answer from memory."""
    found = admin.register(version.arn, version.role, force=True, dry_run=True)
    if version.service not in found.services:
        offered = ", ".join(sorted(found.services)) or "nothing"
        raise Refused(f"{version.arn} was expected to offer the service {version.service}, but offers {offered}.")
    live = admin.services().get(version.service)
    missing = live.handlers - found.services[version.service].handlers if live else frozenset[str]()
    if found.new and missing and not version.allow_breaking_changes:
        raise Refused(
            f"{version.service} would lose {', '.join(sorted(missing))}, which callers may still use: "
            "keep what is in use, or set allow_breaking_changes."
        )


def revive(admin: Admin, version: Version, deployment_id: str) -> None:
    """Make a version that Restate knew already the latest again, and change its role if it has to have another."""
    role = next((known.role for known in admin.deployments() if known.id == deployment_id), None)
    latest = admin.services().get(version.service)
    if latest is None or latest.deployment_id != deployment_id or (role and not version.role):
        admin.register(version.arn, version.role, force=True)
    elif version.role and version.role != role:
        admin.change_role(deployment_id, version.role)


def check_latest(admin: Admin, version: Version, deployment_id: str) -> None:
    latest = admin.services().get(version.service)
    if latest is None or latest.deployment_id != deployment_id:
        raise Unavailable(f"Restate does not send new work for {version.service} to {version.arn} yet.")


def prune(admin: Admin, version: Version, keep: Set[str]) -> None:
    """Forget drained older versions of the function, except the ARNs in `keep`.

    Never one that is still the latest of any service, or that has work pinned to it.
    """
    live = {service.deployment_id for service in admin.services().values()}
    for old in admin.deployments():
        spare = function_of(old.arn) == version.function and old.arn not in keep and old.id not in live
        if spare and not admin.unfinished([old.id]):
            log.info("forgetting drained %s (%s)", old.arn, old.id)
            admin.remove(old.id)


def remove(admin: Admin, version: Version, patience: Patience, *, drain_seconds: float = 0) -> None:
    """Take the function, in all its versions, out of Restate as soon as its work is done or `drain_seconds` are over.

    Nothing new is let in meanwhile. Work that is left is killed, because it would be retried for ever and block its
    key. Raises AdminError.
    """
    deployments = persist(patience.at_most(UNREACHABLE_SECONDS), admin.deployments)
    ours = {known.id: known.services for known in deployments if function_of(known.arn) == version.function}
    others = {service for known in deployments if known.id not in ours for service in known.services}
    orphans = {service for services in ours.values() for service in services} - others
    for service in orphans:
        persist(patience, partial(admin.close, service))
    with suppress(Unavailable):
        persist(patience.at_most(drain_seconds), lambda: check_drained(admin, ours.keys(), orphans))
    persist(patience, lambda: kill_unfinished(admin, ours.keys(), orphans))
    for deployment_id in ours:
        log.info("removing deployment %s", deployment_id)
        persist(patience, partial(admin.remove, deployment_id))
    persist(patience, lambda: kill_unfinished(admin, ours.keys(), orphans))  # what came in meanwhile


def check_drained(admin: Admin, deployment_ids: Set[str], services: Set[str]) -> None:
    if unfinished := admin.unfinished(deployment_ids, services):
        raise Unavailable(f"Waiting for {len(unfinished)} invocations, {unfinished[0]} among them.")


def kill_unfinished(admin: Admin, deployment_ids: Set[str], services: Set[str]) -> None:
    for invocation_id in admin.unfinished(deployment_ids, services):
        log.warning("killing invocation %s, which is unfinished", invocation_id)
        admin.kill(invocation_id)


def persist(patience: Patience, ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer. When time is up, the last reason is raised with what was waited for."""
    reason = ""
    for _ in patience.tries():
        try:
            return ask()
        except Unavailable as error:
            if str(error) != reason:
                reason = str(error)
                log.warning("will ask again: %s", reason)
    raise Unavailable(f"Gave up after {patience.seconds:.0f} seconds: {reason}")
