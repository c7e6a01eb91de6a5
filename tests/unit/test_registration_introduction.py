"""The algorithm of registration, against a stand-in that has the real admin API's rules."""

import pytest

from registration.admin import Admin, AdminError, Refused, Service, Unavailable
from registration.introduction import Version, introduce, prune, remove
from registration.patience import LONGEST_PAUSE, Patience
from tests.unit.admin_stand_in import AdminStandIn
from tests.unit.conftest import ROLE, V1, V2, V3, Clock


@pytest.fixture
def admin(restate: AdminStandIn) -> Admin:
    return Admin(restate.url)


def version(arn: str, role: str | None = None, *, allow_breaking_changes: bool = False) -> Version:
    return Version(arn, "trips", role, allow_breaking_changes)


def id_of(admin: Admin, version: Version, patience: Patience) -> str:
    """The id of the deployment, once it is registered."""
    deployment_id = introduce(admin, version, patience)
    assert deployment_id
    return deployment_id


def test_a_new_version_becomes_the_latest(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    introduce(admin, version(V1, ROLE), patience)

    assert restate.latest("trips") == V1
    assert {known.role for known in restate.known.values()} == {ROLE}


def test_nothing_is_registered_before_a_dry_run_has_shown_what_is_offered(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    introduce(admin, version(V1), patience)

    registrations = [asked for asked in restate.asked if asked.startswith("POST")]
    assert registrations == ["POST /deployments dry", "POST /deployments"]


def test_an_older_version_is_made_the_latest_again(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    """This is what CloudFormation's rollback asks for."""
    introduce(admin, version(V1), patience)
    introduce(admin, version(V2), patience)

    introduce(admin, version(V1), patience)

    assert restate.latest("trips") == V1


@pytest.mark.parametrize("seconds", [10, 1_000])
def test_a_version_is_registered_only_when_restate_sends_new_work_to_it(
    admin: Admin, patience: Patience, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    introduce(admin, version(V1), patience)
    before, services = admin.services(), Admin.services

    def late(admin: Admin) -> dict[str, Service]:
        return before if clock.now < seconds else services(admin)

    monkeypatch.setattr(Admin, "services", late)

    if seconds < patience.seconds:
        introduce(admin, version(V2), patience)
        assert clock.now >= seconds
    else:
        with pytest.raises(Unavailable, match=f"Restate does not send new work for trips to {V2} yet"):
            introduce(admin, version(V2), patience)


def test_a_version_that_is_the_latest_already_is_left_alone(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    introduce(admin, version(V1, ROLE), patience)
    before = restate.known.copy()
    restate.asked.clear()

    introduce(admin, version(V1, ROLE), patience)

    assert restate.known == before
    assert not [asked for asked in restate.asked if "forced" in asked or asked.startswith(("PATCH", "DELETE"))]


def test_another_role_changes_the_deployment_without_a_new_revision(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    deployment_id = id_of(admin, version(V1, ROLE), patience)
    revision = restate.known[deployment_id].services["trips"]

    introduce(admin, version(V1, f"{ROLE}-2"), patience)

    assert restate.known[deployment_id].role == f"{ROLE}-2"
    assert restate.known[deployment_id].services["trips"] == revision


def test_another_role_is_for_the_versions_that_still_have_work_too(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    """CloudFormation deletes the role that they were introduced with."""
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"reports": ["list"]}
    admin.register(other, ROLE)
    introduce(admin, version(V1, ROLE), patience)

    introduce(admin, version(V2, f"{ROLE}-2"), patience)

    assert {known.arn: known.role for known in restate.known.values()} == {
        V1: f"{ROLE}-2",
        V2: f"{ROLE}-2",
        other: ROLE,
    }


def test_a_role_that_is_no_longer_wanted_is_dropped(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    """A PATCH cannot do that: Restate reads `null` as "leave it"."""
    deployment_id = id_of(admin, version(V1, ROLE), patience)

    introduce(admin, version(V1), patience)

    assert restate.known[deployment_id].role is None


def test_another_role_that_may_not_invoke_a_known_version_is_refused_and_the_old_one_stays(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    """Of a version that it knows Restate answers from memory, unless the dry run is forced."""
    introduce(admin, version(V1, ROLE), patience)
    restate.roles = {ROLE}

    with pytest.raises(Unavailable, match="check what its role may invoke"):
        introduce(admin, version(V1, f"{ROLE}-2"), patience)

    assert {known.role for known in restate.known.values()} == {ROLE}


def test_a_function_that_offers_another_service_never_goes_live(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    restate.offers[V1] = {"flights": ["reserve"], "cars": ["reserve"]}

    with pytest.raises(Refused, match="expected to offer the service trips, but offers cars, flights"):
        introduce(admin, version(V1), patience)

    assert not restate.known


def test_a_version_without_a_handler_that_is_live_is_refused(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    restate.offers[V1] = {"trips": ["reserve", "cancel"]}
    introduce(admin, version(V1), patience)

    with pytest.raises(Refused, match="trips would lose cancel"):
        introduce(admin, version(V2), patience)

    assert restate.arns() == {V1}


def test_a_version_of_another_type_is_refused(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    restate.objects = {V2}
    introduce(admin, version(V1), patience)

    with pytest.raises(Refused, match="trips would turn from a Service into a VirtualObject"):
        introduce(admin, version(V2), patience)

    assert restate.arns() == {V1}


def test_a_breaking_change_that_is_asked_for_is_made(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    restate.offers[V1] = {"trips": ["reserve", "cancel"]}
    restate.objects = {V2}
    introduce(admin, version(V1), patience)

    introduce(admin, version(V2, allow_breaking_changes=True), patience)
    assert restate.latest("trips") == V2

    introduce(admin, version(V1), patience)
    assert restate.latest("trips") == V1, "a rollback needs no leave"


def test_going_back_to_a_version_with_fewer_handlers_is_no_breaking_change(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    """A rollback must never be refused for what the version that failed had added."""
    restate.offers[V2] = {"trips": ["reserve", "cancel"]}
    introduce(admin, version(V1), patience)
    introduce(admin, version(V2), patience)

    introduce(admin, version(V1), patience)

    assert restate.latest("trips") == V1


def test_a_server_that_starts_up_is_waited_for_with_growing_pauses_up_to_a_cap(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock
) -> None:
    restate.answers_before = [(503, "starting")] * 10

    introduce(admin, version(V1), patience)

    assert restate.latest("trips") == V1
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == LONGEST_PAUSE


def test_a_server_that_stays_down_is_given_up_with_the_reason_when_time_is_over(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock
) -> None:
    restate.answers_before = [(503, "starting")] * 1000

    with pytest.raises(Unavailable, match="Gave up after 300 seconds: Restate answered 503: starting"):
        introduce(admin, version(V1), patience)

    assert 290 < clock.now <= 300


def test_a_rejected_key_is_not_tried_again(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    restate.api_key = "another"

    with pytest.raises(Refused, match="401"):
        introduce(admin, version(V1), patience)

    assert restate.asked == ["GET /health"]


def test_a_role_that_is_not_known_everywhere_yet_is_ridden_out(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    denied = (500, {"message": "AccessDeniedException", "restate_code": "META0003"})
    restate.answers_before = [(200, None), *[denied] * 5]

    introduce(admin, version(V1, ROLE), patience)

    assert restate.latest("trips") == V1


def test_a_registration_whose_answer_was_lost_is_recognised(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    known = restate.answer("POST", "/deployments", {"arn": V1, "force": False, "dry_run": False}, None)

    introduce(admin, version(V1), patience)

    assert known[0] == 201
    assert restate.arns() == {V1}


def test_pruning_forgets_only_versions_that_are_drained_and_not_kept(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    first, second, third = (id_of(admin, version(arn), patience) for arn in (V1, V2, V3))
    restate.unfinished["inv_1"] = first

    prune(admin, version(V3), keep={V3})
    assert set(restate.known) == {first, third}, f"{second} was drained, {first} has work pinned to it"

    restate.unfinished.clear()
    prune(admin, version(V3), keep={V3, V1})
    assert set(restate.known) == {first, third}, "the first version is to be kept"

    prune(admin, version(V3), keep={V3})
    assert set(restate.known) == {third}


def test_pruning_leaves_a_version_that_is_the_latest_of_another_service(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    restate.offers[V1] = {"trips": ["reserve"], "reports": ["list"]}
    introduce(admin, version(V1), patience)
    introduce(admin, version(V2), patience)

    prune(admin, version(V2), keep={V2})

    assert restate.arns() == {V1, V2}


def test_pruning_leaves_other_functions_alone(restate: AdminStandIn, admin: Admin, patience: Patience) -> None:
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"trips": ["reserve"]}
    introduce(admin, version(other), patience)
    introduce(admin, Version(V1, "trips", take_over=True), patience)

    prune(admin, version(V1), keep={V1})

    assert restate.arns() == {other, V1}


def test_removing_takes_out_all_versions_of_the_function_and_no_other(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"trips": ["reserve"]}
    for arn in (other, V1, V2):
        introduce(admin, Version(arn, "trips", take_over=True), patience)

    remove(admin, version(V2), patience)

    assert restate.arns() == {other}
    assert not restate.closed, "trips is offered by another function still"


def test_removing_waits_for_work_in_flight_and_lets_nothing_new_in(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock
) -> None:
    restate.unfinished["inv_1"] = id_of(admin, version(V1), patience)
    clock.events[clock.now + 12] = restate.unfinished.clear

    remove(admin, version(V1), patience, drain_seconds=30)

    assert restate.closed == {"trips"}
    assert not restate.killed
    assert not restate.known


def test_removing_waits_for_an_undo_that_is_on_its_way_when_all_seems_to_be_done(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock
) -> None:
    introduce(admin, version(V1), patience)
    clock.events[clock.now + 0.1] = lambda: restate.unfinished.update({"trips.sent": None})
    clock.events[clock.now + 5] = restate.unfinished.clear

    remove(admin, version(V1), patience, drain_seconds=30)

    assert clock.now > 5
    assert not restate.killed


def test_removing_kills_what_does_not_end_so_that_nothing_is_retried_for_ever(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    deployment_id = id_of(admin, version(V1), patience)
    restate.unfinished["inv_1"] = deployment_id
    restate.unfinished["trips.queued"] = None
    restate.unfinished["reports.queued"] = None

    remove(admin, version(V1), patience, drain_seconds=30)

    assert 20 < clock.now <= 30
    assert restate.killed == ["inv_1", "trips.queued"]
    killed, removed = "PATCH /invocations/inv_1/kill", f"DELETE /deployments/{deployment_id}?force=true"
    assert restate.asked.index(killed) < restate.asked.index(removed)
    assert "killing invocation inv_1" in caplog.text
    assert list(restate.unfinished) == ["reports.queued"]
    assert not restate.known


def test_work_that_came_in_at_the_last_moment_is_killed_too(
    restate: AdminStandIn, admin: Admin, patience: Patience
) -> None:
    introduce(admin, version(V1), patience)
    restate.late = ["inv_late"]

    remove(admin, version(V1), patience)

    assert restate.killed == ["inv_late"]


def test_removing_from_a_server_that_is_gone_gives_up_soon(
    restate: AdminStandIn, admin: Admin, patience: Patience, clock: Clock
) -> None:
    restate.answers_before = [(503, "gone")] * 1000

    with pytest.raises(AdminError):
        remove(admin, version(V1), patience, drain_seconds=30)

    assert clock.now <= 20
