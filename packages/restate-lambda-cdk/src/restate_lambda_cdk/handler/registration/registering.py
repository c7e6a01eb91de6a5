"""Makes a function version the one to which Restate sends new work.

All of it may run again at any time: CloudFormation repeats requests, and rolls back by asking for the old version
again. Restate knows that version then, and that is not enough: it must become the latest again.
"""

import logging
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from registration.admin import Admin, Deployment, RefusedError, Service, UnavailableError
from registration.deadline import PROPAGATION_SECONDS, Deadline, retry
from registration.properties import Version, function_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Before:
    """What an update replaces: a version, and whether it was registered in the same place.

    CloudFormation does not say whether it is going forward or rolling back.
    """

    version: Version
    same_place: bool


def versions_of(admin: Admin, version: Version) -> list[Deployment]:
    """All of the function's versions that Restate knows, this one and others."""
    return [known for known in admin.deployments() if function_of(known.arn) == version.function]


def register(admin: Admin, version: Version, deadline: Deadline, before: Before | None = None) -> str | None:
    """Make `version` the latest of its services. Returns its deployment's id. Raises AdminError.

    Returns None if a rollback finds a service that another function serves, which it leaves alone.
    """
    retry(deadline, admin.check_health)
    if not retry(deadline.within(PROPAGATION_SECONDS), lambda: discover(admin, version, before)):
        retry(deadline, lambda: assign_role(admin, version))
        return None
    breaking = version.allow_breaking_changes
    noted = {version.registration: version.request}
    if not before:
        noted = retry(deadline, lambda: served_for(admin, version)) | noted
    deployment = retry(
        deadline, lambda: admin.register(version.arn, version.role, breaking=breaking, registrations=noted)
    )
    if not deployment.new:
        retry(deadline, lambda: promote(admin, version, deployment.id, noted, is_create=not before))
    retry(deadline, lambda: assign_role(admin, version))
    retry(deadline, lambda: check_latest(admin, version, deployment.id))
    return deployment.id


def discover(admin: Admin, version: Version, before: Before | None) -> bool:
    """Check what the function offers before any of it goes live. Forced, or Restate would answer from memory.

    Returns False if nothing may go live although nothing failed.
    """
    found = admin.register(version.arn, version.role, force=True, dry_run=True)
    if found.services.keys() != version.services:
        raise RefusedError(
            f"{version.arn} was expected to offer {_listed(version.services)}, but offers {_listed(found.services)}: "
            "list exactly the services that the function offers."
        )
    services = admin.services()
    servers = {known.id: known for known in admin.deployments()}
    may_be_rollback = before is not None and (
        not found.new or (before.same_place and version.is_no_newer_than(before.version))
    )
    names = found.services.keys() & services.keys()
    taken = taken_over(names, services, servers, version, before, may_be_rollback=may_be_rollback)
    if taken and not version.take_over:
        # To refuse what the registration had before would leave the stack in UPDATE_ROLLBACK_FAILED.
        if may_be_rollback:
            log.warning("%s, so %s does not become the latest", taken, version.arn)
            return False
        raise RefusedError(f"{taken}: remove that deployment, register with another Restate, or set take_over.")
    if found.new and not version.allow_breaking_changes:
        for name in (before.version.services if before else frozenset[str]()) - found.services.keys():
            raise RefusedError(_breaking(f"{version.arn} would lose the service {name}"))
        for live in (services[name] for name in found.services if name in services):
            if not servers[live.deployment_id].gives_way:
                refuse_breaking_change(live, found.services[live.name])
    return True


def of_same_stack(server: Deployment, version: Version) -> bool:
    """Whether it was registered by the version's own stack only."""
    stacks = {name.rpartition("/")[0] for name in server.registrations}
    return stacks == {version.registration.rpartition("/")[0]}


def is_left_behind(server: Deployment, version: Version) -> bool:
    """Whether it is another function that only this registration registered: by the same resource of a stack of the
    same name, which was deleted while Restate could not be reached."""
    return function_of(server.arn) != version.function and {*server.registrations} == {version.registration}


def taken_over(
    names: Set[str],
    services: Mapping[str, Service],
    servers: Mapping[str, Deployment],
    version: Version,
    before: Before | None,
    *,
    may_be_rollback: bool,
) -> str | None:
    """The service that would be taken over, and its owner: another function, or a server by URL. None if there is none.

    The function that this registration had before does not count, nor does `make serve`. A rollback also takes back
    what the update that it reverts moved to another function of the same stack; and a stack that is created again, what
    its deletion left behind.
    """
    own = {version.function, *([before.version.function] if before else [])}
    for name in sorted(names):
        server = servers.get(services[name].deployment_id)
        if server is None:
            raise UnavailableError(f"Restate is changing which deployment serves {name}.")
        is_own = (
            function_of(server.arn) in own
            or (may_be_rollback and of_same_stack(server, version))
            or (before is None and is_left_behind(server, version))
        )
        if not server.gives_way and not is_own:
            return f"{name} is served by {server.address} already (deployment {server.id})"
    return None


def refuse_breaking_change(live: Service, offered: Service) -> None:
    """Restate itself rejects only a changed service type; it accepts handlers that are gone."""
    gone = ", ".join(sorted(live.handlers - offered.handlers))
    if offered.type != live.type:
        change = f"would change from a {live.type} to a {offered.type}"
    elif gone:
        change = f"would lose {gone}"
    else:
        return
    raise RefusedError(_breaking(f"{live.name} {change}"))


def _breaking(change: str) -> str:
    return f"{change}, which callers may rely on: keep it, or set allow_breaking_changes."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def served_for(admin: Admin, version: Version) -> dict[str, str]:
    """The registrations noted for the deployment that is live now. A Create is the second registration of a function if
    the first was renamed, and a rollback deletes the second. So a role that it is about to change is noted too."""
    latest = {service.deployment_id for service in admin.services().values()}
    noted: dict[str, str] = {}
    for known in versions_of(admin, version):
        if known.id in latest:
            for name, by in known.registrations.items():
                changes = known.role != version.role and name != version.registration and " " not in by
                noted[name] = f"{by} {known.role or ''}" if changes else by
    return noted


def promote(admin: Admin, version: Version, deployment_id: str, noted: Mapping[str, str], *, is_create: bool) -> None:
    """Make a version that Restate already knew the latest again, if it is not the latest or not noted as this
    registration's. Forcing it also drops a role, and makes a closed service public again."""
    known = next((known for known in admin.deployments() if known.id == deployment_id), None)
    before: Mapping[str, str] = known.registrations if known else {}
    is_noted = noted.items() <= before.items() if is_create else noted.keys() <= before.keys()
    drops_role = known and known.role and not version.role
    if not_latest(admin, version, deployment_id) or drops_role or not is_noted or is_closed(admin, version):
        not_by_this_request = {**before, **noted, version.registration: ""}
        admin.register(version.arn, version.role, force=True, breaking=True, registrations=not_by_this_request)


def is_closed(admin: Admin, version: Version) -> bool:
    """Whether a service is private although its code is public: it was closed when a version, since rolled back, no
    longer offered it."""
    services = admin.services()
    closed = [name for name in version.services if name in services and not services[name].is_public]
    if not closed:
        return False
    offered = admin.register(version.arn, version.role, force=True, dry_run=True).services
    return any(offered[name].is_public for name in closed if name in offered)


def not_latest(admin: Admin, version: Version, deployment_id: str) -> list[str]:
    """The version's services for which Restate would use another deployment."""
    services = admin.services()
    return [
        name
        for name in sorted(version.services)
        if name not in services or services[name].deployment_id != deployment_id
    ]


def assign_role(admin: Admin, version: Version) -> None:
    """Invoke all versions of the function through this role: an older one may still have work to finish, and the role
    that it was registered with may be about to be deleted."""
    for known in versions_of(admin, version):
        if version.role and known.role != version.role:
            admin.change_role(known.id, version.role)


def check_latest(admin: Admin, version: Version, deployment_id: str) -> None:
    if others := not_latest(admin, version, deployment_id):
        raise UnavailableError(f"Restate does not send new work for {_listed(others)} to {version.arn} yet.")
