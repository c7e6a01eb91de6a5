"""The registration algorithm, against a fake with the real admin API's rules."""

import pytest

from events import ROLE, V1, V2, Clock
from fake_admin import FakeAdmin
from registration.admin import Admin, RefusedError, Service, UnavailableError
from registration.deadline import LONGEST_PAUSE, PROPAGATION_SECONDS, Deadline
from registration.properties import Version
from registration.registering import register


@pytest.fixture
def admin(restate: FakeAdmin) -> Admin:
    return Admin(restate.url)


def version(arn: str, role: str | None = None, *, allow_breaking_changes: bool = False) -> Version:
    return Version(arn, frozenset({"trips"}), role, allow_breaking_changes)


def id_of(admin: Admin, version: Version, deadline: Deadline) -> str:
    """The id of the deployment, once it is registered."""
    deployment_id = register(admin, version, deadline)
    assert deployment_id
    return deployment_id


def test_a_new_version_becomes_the_latest(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    register(admin, version(V1, ROLE), deadline)

    assert restate.latest("trips") == V1
    assert {known.role for known in restate.known.values()} == {ROLE}


def test_a_dry_run_shows_what_is_offered_before_anything_is_registered(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    register(admin, version(V1), deadline)

    registrations = [asked for asked in restate.asked if asked.startswith("POST")]
    assert registrations == ["POST /deployments dry", "POST /deployments"]


def test_an_older_version_is_promoted(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    """This is what CloudFormation's rollback asks for."""
    register(admin, version(V1), deadline)
    register(admin, version(V2), deadline)

    register(admin, version(V1), deadline)

    assert restate.latest("trips") == V1


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("seconds", [10, 1_000])
def test_a_version_is_registered_only_when_restate_sends_new_work_to_it(
    admin: Admin, deadline: Deadline, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float, is_known: bool
) -> None:
    if is_known:
        register(admin, version(V1), deadline)
    before, services = admin.services(), Admin.services

    def late(admin: Admin) -> dict[str, Service]:
        return before if clock.now < seconds else services(admin)

    monkeypatch.setattr(Admin, "services", late)

    if seconds < deadline.seconds:
        register(admin, version(V2), deadline)
        assert clock.now >= seconds
    else:
        with pytest.raises(UnavailableError, match=f"Restate does not send new work for trips to {V2} yet"):
            register(admin, version(V2), deadline)


def test_a_version_that_is_the_latest_already_is_left_alone(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    register(admin, version(V1, ROLE), deadline)
    before = restate.known.copy()
    restate.asked.clear()

    register(admin, version(V1, ROLE), deadline)

    assert restate.known == before
    assert not [asked for asked in restate.asked if "forced" in asked or asked.startswith(("PATCH", "DELETE"))]


def test_another_role_changes_the_deployment_without_a_new_revision(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    deployment_id = id_of(admin, version(V1, ROLE), deadline)
    revision = restate.known[deployment_id].services["trips"]

    register(admin, version(V1, f"{ROLE}-2"), deadline)

    assert restate.known[deployment_id].role == f"{ROLE}-2"
    assert restate.known[deployment_id].services["trips"] == revision


def test_another_role_also_applies_to_versions_that_still_have_work(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    """CloudFormation deletes the role that they were registered with."""
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"reports": ["list"]}
    admin.register(other, ROLE)
    register(admin, version(V1, ROLE), deadline)

    register(admin, version(V2, f"{ROLE}-2"), deadline)

    assert {known.arn: known.role for known in restate.known.values()} == {
        V1: f"{ROLE}-2",
        V2: f"{ROLE}-2",
        other: ROLE,
    }


def test_a_role_can_be_removed(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    """A PATCH cannot do that: Restate ignores `null`."""
    deployment_id = id_of(admin, version(V1, ROLE), deadline)

    register(admin, version(V1), deadline)

    assert restate.known[deployment_id].role is None


def test_another_role_that_may_not_invoke_a_known_version_is_rejected_and_the_old_one_stays(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    """Unless the dry run is forced, Restate does not invoke a version that it knows."""
    register(admin, version(V1, ROLE), deadline)
    restate.roles = {ROLE}

    with pytest.raises(UnavailableError, match="check the permissions of its role"):
        register(admin, version(V1, f"{ROLE}-2"), deadline)

    assert {known.role for known in restate.known.values()} == {ROLE}
    assert clock.now <= PROPAGATION_SECONDS


def test_a_function_that_offers_another_service_never_goes_live(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    restate.offers[V1] = {"flights": ["reserve"], "cars": ["reserve"]}

    with pytest.raises(RefusedError, match="expected to offer trips, but offers cars, flights"):
        register(admin, version(V1), deadline)

    assert not restate.known


def test_a_version_that_lacks_a_live_handler_is_rejected(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    restate.offers[V1] = {"trips": ["reserve", "cancel"]}
    register(admin, version(V1), deadline)

    with pytest.raises(RefusedError, match="trips would lose cancel"):
        register(admin, version(V2), deadline)

    assert restate.arns() == {V1}


def test_a_version_of_another_type_is_rejected(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    restate.objects = {V2}
    register(admin, version(V1), deadline)

    with pytest.raises(RefusedError, match="trips would change from a Service to a VirtualObject"):
        register(admin, version(V2), deadline)

    assert restate.arns() == {V1}


def test_a_breaking_change_that_is_asked_for_is_made(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    restate.offers[V1] = {"trips": ["reserve", "cancel"]}
    restate.objects = {V2}
    register(admin, version(V1), deadline)

    register(admin, version(V2, allow_breaking_changes=True), deadline)
    assert restate.latest("trips") == V2

    register(admin, version(V1), deadline)
    assert restate.latest("trips") == V1, "a rollback needs no permission"


def test_going_back_to_a_version_with_fewer_handlers_is_no_breaking_change(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    """A rollback must never fail because of handlers that the failed version had added."""
    restate.offers[V2] = {"trips": ["reserve", "cancel"]}
    register(admin, version(V1), deadline)
    register(admin, version(V2), deadline)

    register(admin, version(V1), deadline)

    assert restate.latest("trips") == V1


def test_a_server_that_is_starting_is_retried_with_growing_pauses_up_to_a_cap(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    restate.answers_before = [(503, "starting")] * 10

    register(admin, version(V1), deadline)

    assert restate.latest("trips") == V1
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == LONGEST_PAUSE


def test_a_server_that_stays_down_times_out_with_the_reason(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    restate.answers_before = [(503, "starting")] * 1000

    with pytest.raises(UnavailableError, match="Timed out after 300 seconds: Restate answered 503: starting"):
        register(admin, version(V1), deadline)

    assert 290 < clock.now <= 300


def test_a_rejected_key_is_not_retried(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    restate.api_key = "another"

    with pytest.raises(RefusedError, match="401"):
        register(admin, version(V1), deadline)

    assert restate.asked == ["GET /health"]


def test_a_role_that_has_not_propagated_yet_is_retried(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    denied = (500, {"message": "AccessDeniedException", "restate_code": "META0003"})
    restate.answers_before = [(200, None), *[denied] * 5]

    register(admin, version(V1, ROLE), deadline)

    assert restate.latest("trips") == V1


def test_a_registration_whose_response_was_lost_is_recognised(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    known = restate.answer("POST", "/deployments", {"arn": V1, "force": False, "dry_run": False}, None)

    register(admin, version(V1), deadline)

    assert known[0] == 201
    assert restate.arns() == {V1}
