"""What is deregistered, when, and what happens to unfinished work."""

import logging

import pytest

from events import V1, V2, V3, Clock
from fake_admin import FakeAdmin
from registration.admin import Admin, AdminError
from registration.deadline import Deadline
from registration.properties import Version
from registration.registering import register
from registration.removing import prune, remove


@pytest.fixture
def admin(restate: FakeAdmin) -> Admin:
    return Admin(restate.url)


def version(arn: str, *callers: str) -> Version:
    return Version(arn, frozenset({"trips"}), callers=frozenset(callers))


def id_of(admin: Admin, version: Version, deadline: Deadline) -> str:
    """The id of the deployment, once it is registered."""
    deployment_id = register(admin, version, deadline)
    assert deployment_id
    return deployment_id


def test_pruning_deregisters_only_versions_that_are_drained_and_not_kept(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    first, second, third = (id_of(admin, version(arn), deadline) for arn in (V1, V2, V3))
    restate.unfinished["inv_1"] = first

    prune(admin, version(V3), keep={V3})
    assert set(restate.known) == {first, third}, f"{second} was drained, {first} has work pinned to it"

    restate.unfinished.clear()
    restate.first_attempts["trips.1"] = first
    prune(admin, version(V3), keep={V3})
    assert set(restate.known) == {first, third}, "what is running on the first version will be pinned to it"

    restate.first_attempts.clear()
    prune(admin, version(V3), keep={V3, V1})
    assert set(restate.known) == {first, third}, "the first version is to be kept"

    restate.unfinished["trips.queued"] = None
    prune(admin, version(V3), keep={V3})
    assert set(restate.known) == {third}, "what is not pinned yet will run on the latest"

    restate.unfinished.clear()
    prune(admin, version(V3), keep=set())
    assert set(restate.known) == {third}, "it is the latest"


def test_a_dropped_service_is_deregistered_with_its_last_version_once_that_is_drained(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    # given a function that dropped one of two services, and whose previous version is kept
    restate.offers[V1] = {"trips": ["reserve"], "reports": ["list"]}
    both = Version(V1, frozenset({"trips", "reports"}))
    one = Version(V2, frozenset({"trips"}), allow_breaking_changes=True)
    register(admin, both, deadline)
    register(admin, one, deadline)

    # when it is pruned, then the dropped service is closed
    prune(admin, one, keep={V1, V2})
    assert (restate.closed, restate.arns()) == ({"reports"}, {V1, V2})

    # and its version is deregistered when nothing is queued for it
    restate.unfinished["reports.queued"] = None
    prune(admin, version(V2), keep={V2})
    assert restate.arns() == {V1, V2}
    restate.unfinished.clear()
    prune(admin, version(V2), keep={V2})
    assert restate.arns() == {V2}
    assert not restate.killed


def test_pruning_leaves_other_functions_alone(restate: FakeAdmin, admin: Admin, deadline: Deadline) -> None:
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"trips": ["reserve"], "reports": ["list"]}
    register(admin, Version(other, frozenset({"reports", "trips"})), deadline)
    register(admin, Version(V1, frozenset({"trips"}), take_over=True), deadline)

    prune(admin, version(V1), keep={V1})

    assert restate.arns() == {other, V1}
    assert not restate.closed


def test_removing_deregisters_all_versions_of_the_function_and_no_other(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"trips": ["reserve"]}
    for arn in (other, V1, V2):
        register(admin, Version(arn, frozenset({"trips"}), take_over=True), deadline)

    remove(admin, version(V2), deadline)

    assert restate.arns() == {other}
    assert not restate.closed, "another function still offers trips"


def test_removing_closes_the_service_and_waits_for_work_in_flight(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    restate.unfinished["inv_1"] = id_of(admin, version(V1), deadline)
    clock.events[clock.now + 12] = restate.unfinished.clear

    remove(admin, version(V1), deadline, drain_seconds=30)

    assert restate.closed == {"trips"}
    assert not restate.killed
    assert not restate.known


def test_removing_waits_for_a_compensation_that_arrives_when_all_seems_done(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    register(admin, version(V1), deadline)
    clock.events[clock.now + 0.1] = lambda: restate.unfinished.update({"trips.sent": None})
    clock.events[clock.now + 5] = restate.unfinished.clear

    remove(admin, version(V1), deadline, drain_seconds=30)

    assert clock.now > 5
    assert not restate.killed


def test_removing_kills_what_does_not_end_so_that_nothing_is_retried_forever(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    deployment_id = id_of(admin, version(V1), deadline)
    restate.unfinished["inv_1"] = deployment_id
    restate.unfinished["trips.queued"] = None
    restate.unfinished["reports.queued"] = None

    remove(admin, version(V1), deadline, drain_seconds=30)

    assert 20 < clock.now <= 30
    assert restate.killed == ["inv_1", "trips.queued"]
    killed, removed = "PATCH /invocations/inv_1/kill", f"DELETE /deployments/{deployment_id}?force=true"
    assert restate.asked.index(killed) < restate.asked.index(removed)
    assert "killing unfinished invocation inv_1" in caplog.text
    assert list(restate.unfinished) == ["reports.queued"]
    assert not restate.known


def test_removing_waits_for_callers_that_started_on_older_code(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    """Their code still calls what is removed, and would get not found forever."""
    register(admin, version(V1), deadline)
    restate.on_older_versions = ["planner.1", "stranger.1"]
    clock.events[clock.now + 12] = lambda: restate.on_older_versions.remove("planner.1")

    remove(admin, version(V1, "planner"), deadline, drain_seconds=30)

    assert 12 <= clock.now < 25
    assert not restate.known


def test_removing_waits_for_callers_in_their_first_attempt_on_older_code(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    """The first response pins them to that code."""
    register(admin, version(V1), deadline)
    restate.first_attempts["planner.1"] = "dp_of_older_code"
    clock.events[clock.now + 12] = restate.first_attempts.clear

    remove(admin, version(V1, "planner"), deadline, drain_seconds=30)

    assert 12 <= clock.now < 25


def test_a_replaced_function_is_deregistered_when_its_work_is_done(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    other = V1.replace(":trips:", ":another-function:")
    restate.offers[other] = {"trips": ["reserve"]}
    restate.first_attempts["trips.1"] = id_of(admin, version(V1), deadline)
    register(admin, Version(other, frozenset({"trips"}), take_over=True), deadline)
    clock.events[clock.now + 12] = restate.first_attempts.clear

    remove(admin, version(V1), deadline, drain_seconds=30)

    assert 12 <= clock.now < 25
    assert not restate.killed


def test_callers_that_do_not_end_are_not_killed_and_one_line_says_which_and_what_to_do(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    register(admin, version(V1), deadline)
    restate.on_older_versions = [f"planner.{number}" for number in range(25)]

    remove(admin, version(V1, "planner", "agent"), deadline, drain_seconds=30)

    assert 20 < clock.now <= 35
    assert not restate.killed and not restate.known
    (line,) = (each.getMessage() for each in caplog.records if each.levelno == logging.ERROR)
    assert line.startswith("unfinished invocations of agent, planner, begun on older versions, call trips, which")
    assert "planner.0, planner.1," in line and "planner.20" not in line and "and 5 more" in line
    assert "restate invocations kill <id>" in line


def test_callers_are_not_waited_for_if_another_function_still_serves(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    other = V1.replace(":trips:", ":trips-of-another-stack:")
    restate.offers[other] = {"trips": ["reserve"]}
    for arn in (V1, other):
        register(admin, Version(arn, frozenset({"trips"}), take_over=True), deadline)
    restate.on_older_versions = ["planner.1"]

    remove(admin, version(V1, "planner"), deadline, drain_seconds=30)

    assert clock.now < 5
    assert not [each for each in caplog.records if each.levelno == logging.ERROR]


def test_callers_are_not_waited_for_if_the_function_is_not_registered(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    restate.on_older_versions = ["planner.1"]

    remove(admin, version(V1, "planner"), deadline, drain_seconds=30)

    assert clock.now == 0


def test_work_that_arrives_at_the_last_moment_is_killed_too(
    restate: FakeAdmin, admin: Admin, deadline: Deadline
) -> None:
    register(admin, version(V1), deadline)
    restate.late = ["inv_late"]

    remove(admin, version(V1), deadline)

    assert restate.killed == ["inv_late"]


def test_removing_from_a_server_that_is_down_times_out_soon(
    restate: FakeAdmin, admin: Admin, deadline: Deadline, clock: Clock
) -> None:
    restate.answers_before = [(503, "down")] * 1000

    with pytest.raises(AdminError):
        remove(admin, version(V1), deadline, drain_seconds=30)

    assert clock.now <= 20
