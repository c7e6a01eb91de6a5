"""Deregisters a function, and its drained older versions."""

import logging
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from functools import partial

from registration.admin import Admin, AdminError, Deployment, Service, UnavailableError
from registration.deadline import Deadline, retry
from registration.properties import Version, function_of
from registration.registering import versions_of

log = logging.getLogger(__name__)

UNREACHABLE_SECONDS = 20  # for a removal, which can do without
IDS_SHOWN = 20


def prune(admin: Admin, version: Version, keep: Set[str]) -> None:
    """Delete drained older versions of the function, except the ARNs in `keep`.

    A version that is still the latest of a service, or has work pinned to it, stays. A service that the function no
    longer offers is handed back to the owner it was taken over from. If there was none, it is closed first, and removed
    with the last version that offered it.
    """
    kept_open = hand_back(admin, version)
    ours = versions_of(admin, version)
    services = admin.services().values()
    dropped = dropped_by(version, ours, services)
    for name in sorted(dropped - kept_open):
        log.info("closing %s, which the function no longer offers", name)
        admin.close(name)
    live = {each.deployment_id for each in services if each.name not in dropped}
    for old in ours:
        if old.arn not in keep and old.id not in live and not admin.unfinished([old.id], dropped & old.services):
            log.info("removing drained version %s (%s)", old.arn, old.id)
            admin.remove(old.id)


def dropped_by(version: Version, ours: Iterable[Deployment], services: Iterable[Service]) -> set[str]:
    """The services that the version no longer offers and an older version of its function serves."""
    ids = {known.id for known in ours}
    return {each.name for each in services if each.deployment_id in ids and each.name not in version.services}


def hand_back(admin: Admin, version: Version) -> set[str]:
    """Promote the previous owner of each service that this function took over and the version no longer offers: this
    may be the rollback of that. Returns the services that cannot be handed back, whose callers are somebody else's."""
    services, known = admin.services(), admin.deployments()
    live = {each.deployment_id for each in services.values()}
    ours = [each for each in known if function_of(each.arn) == version.function]
    dropped = dropped_by(version, ours, services.values())
    failed: set[str] = set()
    for name in sorted(dropped):
        others = [each for each in known if each not in ours and name in each.revisions]
        wanted = [each for each in others if not is_abandoned(each, known, live)]
        if not wanted:
            continue
        before = max(wanted, key=lambda each: each.revisions[name])
        rest = before.services - dropped
        failed.add(name)
        if elsewhere := sorted(each for each in rest if each in services and services[each].deployment_id != before.id):
            log.error("%s is not handed back to %s, because that would also take %s", name, before.address, elsewhere)
            continue
        log.warning("handing %s back to %s (%s)", name, before.address, before.id)
        try:
            admin.promote(before)
            failed.discard(name)
        except AdminError as error:
            log.error("%s cannot be handed back to %s: %s", name, before.address, error)
    return failed


def is_abandoned(deployment: Deployment, known: Iterable[Deployment], live: Set[str]) -> bool:
    """Whether another version of its function serves and this one does not, because it was rolled back or replaced."""
    versions = [each for each in known if each.arn and function_of(each.arn) == function_of(deployment.arn)]
    return deployment.id not in live and any(each.id in live for each in versions)


def remove(
    admin: Admin, version: Version, deadline: Deadline, *, drain_seconds: float = 0, create_failed: bool = False
) -> None:
    """Deregister all versions of the function as soon as their work is done or `drain_seconds` are over.

    No new calls are accepted meanwhile. If a service is removed too, this also waits for work of callers that began on
    older code, which still calls it. When time is up, the function's own remaining invocations are killed, because they
    would be retried forever and block their keys; the callers' are logged with what to do. Raises AdminError.

    What serves for another registration too stays. create_failed: only what the failed request alone registered is
    removed.
    """
    deployments = retry(deadline.within(UNREACHABLE_SECONDS), admin.deployments)
    known_of_it = [known for known in deployments if function_of(known.arn) == version.function]
    if not known_of_it or retry(deadline, lambda: leave_to_others(admin, version, known_of_it)):
        return
    if create_failed and any(known.registrations != {version.registration: version.request} for known in known_of_it):
        return
    ours = {known.id: known.services for known in known_of_it}
    others = {service for known in deployments if known.id not in ours for service in known.services}
    orphans = {service for services in ours.values() for service in services} - others
    for service in sorted(orphans):
        retry(deadline, partial(admin.close, service))
    callers = version.callers if orphans else frozenset[str]()
    draining = deadline.within(drain_seconds)
    with suppress(UnavailableError):
        retry(draining, lambda: check_drained(admin, ours.keys(), orphans, callers, draining))
    retry(deadline, lambda: kill_unfinished(admin, ours.keys(), orphans))
    for deployment_id in ours:
        log.info("removing deployment %s", deployment_id)
        retry(deadline, partial(admin.remove, deployment_id))
    retry(deadline, lambda: kill_unfinished(admin, ours.keys(), orphans))  # what came in meanwhile
    if left := retry(deadline, lambda: admin.unfinished_on_older_versions(callers)):
        log.error(
            "unfinished invocations of %s, begun on older versions, call %s, which was removed: %s. Each is retried "
            "until it is registered again; to end one: restate invocations kill <id>",
            ", ".join(sorted(callers)),
            ", ".join(sorted(orphans)),
            _shown(left),
        )


def leave_to_others(admin: Admin, version: Version, known_of_it: list[Deployment]) -> bool:
    """Whether the live deployment serves for another registration too, as after a renaming, which CloudFormation sees
    as a second registration and then a deletion of the first. If so, this registration is no longer noted for it; and
    if its role is deleted with it, all versions are invoked through the other one's role again."""
    services = admin.services().values()
    for known in known_of_it:
        serves = frozenset(each.name for each in services if each.deployment_id == known.id)
        others = {name: by for name, by in known.registrations.items() if name != version.registration}
        if serves and others:
            log.warning("%s is kept for the registration %s", known.arn, ", ".join(others))
            role, others = role_of(others, known.role, version.role)
            if role and role != known.role:
                for each in sorted(known_of_it, key=lambda each: each is known):  # until this one has it, ask again
                    if each.role == version.role:
                        admin.change_role(each.id, role)
            if others != known.registrations and serves == known.services:
                admin.register(known.arn or "", role, force=True, breaking=True, registrations=others)
            return True
    return False


def role_of(others: Mapping[str, str], role: str | None, leaving: str | None) -> tuple[str | None, dict[str, str]]:
    """The role for what is left to these registrations, instead of the leaving one's, and what to note of them."""
    changed = [by.partition(" ")[2] for by in others.values() if " " in by]
    if changed and role == leaving:
        role = changed[0] or None
    return role, {name: by.partition(" ")[0] for name, by in others.items()}


def check_drained(
    admin: Admin, deployment_ids: Set[str], services: Set[str], callers: Set[str], deadline: Deadline
) -> None:
    """Check twice: while a Restate partition hands a one-way message to another, it is not yet an invocation."""
    check_idle(admin, deployment_ids, services, callers)
    deadline.pause()
    check_idle(admin, deployment_ids, services, callers)


def check_idle(admin: Admin, deployment_ids: Set[str], services: Set[str], callers: Set[str]) -> None:
    unfinished = admin.unfinished(deployment_ids, services) + admin.unfinished_on_older_versions(callers)
    if unfinished:
        raise UnavailableError(f"Waiting for {len(unfinished)} invocations, including {unfinished[0]}.")


def kill_unfinished(admin: Admin, deployment_ids: Iterable[str], services: Iterable[str]) -> None:
    for invocation_id in admin.unfinished(deployment_ids, services):
        log.warning("killing unfinished invocation %s", invocation_id)
        admin.kill(invocation_id)


def _shown(ids: list[str]) -> str:
    more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
    return ", ".join(ids[:IDS_SHOWN]) + more
