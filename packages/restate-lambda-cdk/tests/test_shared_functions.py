"""A function with several registrations: each is noted in Restate, and none removes what another still needs.

To CloudFormation, a renamed registration is a second one, which it creates before it deletes the first.
"""

from typing import Any

import pytest

from events import ROLE, V1, V2, V3, event, renamed
from fake_admin import FakeAdmin
from registration.cloudformation import failure_of
from registration.deadline import Deadline

DOWN = (503, "down")


def test_a_recreated_stack_owns_what_its_deletion_had_to_leave(restate: FakeAdmin, deadline: Deadline) -> None:
    """Functions with fixed names get the same ARNs again; the stack's ARN ends with another unique id."""
    deleted, recreated = (
        f"arn:aws:cloudformation:eu-west-1:111122223333:stack/Trips/{unique}" for unique in ("1", "2")
    )
    assert failure_of(event("Create", restate, V1) | {"StackId": deleted}, deadline) is None

    # given that Restate was down when the stack was deleted
    restate.answers_before = [DOWN] * 1000
    assert failure_of(event("Delete", restate, V1) | {"StackId": deleted}, deadline) is None
    restate.answers_before = []
    assert restate.latest("trips") == V1

    # when it is recreated and deleted again
    for kind in ("Create", "Delete"):
        assert failure_of(event(kind, restate, V1) | {"StackId": recreated}, deadline) is None

    # then nothing of it is left
    assert not restate.known


@pytest.mark.parametrize("arn", [V1, V2])
def test_a_renamed_registration_still_serves_when_the_first_one_is_deleted(
    restate: FakeAdmin, deadline: Deadline, arn: str
) -> None:
    first, second = event("Create", restate, V1), renamed("Create", restate, arn)
    for each in (first, second, event("Delete", restate, V1)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == arn
    assert not restate.closed and not restate.killed

    # and it can be updated and deleted like any other
    third = renamed("Update", restate, V3, old=second)
    assert failure_of(third, deadline) is None
    assert restate.latest("trips") == V3
    assert failure_of(renamed("Delete", restate, V3), deadline) is None
    assert not restate.known


@pytest.mark.parametrize("arn", [V1, V2])
def test_deleting_a_renamed_registration_at_once_deregisters_the_whole_function(
    restate: FakeAdmin, deadline: Deadline, arn: str
) -> None:
    for each in (event("Create", restate, V1), renamed("Create", restate, arn), event("Delete", restate, V1)):
        assert failure_of(each, deadline) is None

    assert failure_of(renamed("Delete", restate, arn), deadline) is None

    assert not restate.known


@pytest.mark.parametrize("arn", [V1, V2])
def test_rolling_back_a_renaming_leaves_the_function_to_the_first(
    restate: FakeAdmin, deadline: Deadline, arn: str
) -> None:
    first = event("Create", restate, V1)
    for each in (first, renamed("Create", restate, arn), renamed("Delete", restate, arn)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == arn
    assert not restate.closed and not restate.killed

    assert failure_of(event("Delete", restate, V1), deadline) is None
    assert not restate.known


def test_a_service_that_the_renamed_one_dropped_does_not_remove_the_rest(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    restate.offers[V1] = {"trips": ["reserve"], "reports": ["list"]}
    both = ["reports", "trips"]
    first = event("Create", restate, V1, ServiceNames=both)
    for each in (first, renamed("Create", restate, V2), event("Delete", restate, V1, ServiceNames=both)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == V2


def test_a_version_that_the_renamed_one_replaced_is_not_promoted_again(restate: FakeAdmin, deadline: Deadline) -> None:
    restate.offers[V1] = {"trips": ["reserve"], "reports": ["list"]}
    both = ["reports", "trips"]
    first, second = event("Create", restate, V1, ServiceNames=both), renamed("Create", restate, V1)
    second["ResourceProperties"]["ServiceNames"] = both
    update = renamed("Update", restate, V2, old=second)
    update["ResourceProperties"]["AllowBreakingChanges"] = "true"
    for each in (first, second, update, event("Delete", restate, V1, ServiceNames=both)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == V2


def test_a_first_one_whose_deletion_restate_missed_is_dropped_with_the_next_version(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    second = renamed("Create", restate, V1)
    for each in (event("Create", restate, V1), second, renamed("Update", restate, V2, old=second)):
        assert failure_of(each, deadline) is None

    assert failure_of(renamed("Delete", restate, V2), deadline) is None

    assert not restate.known


def test_an_update_of_a_function_that_is_registered_twice_is_noted_for_both(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    """As with two environments that are the same Restate."""
    first, second = event("Create", restate, V1), renamed("Create", restate, V1)
    updates = event("Update", restate, V2, old=first), renamed("Update", restate, V2, old=second)
    for each in (first, second, *updates, event("Delete", restate, V2)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == V2
    assert failure_of(renamed("Delete", restate, V2), deadline) is None
    assert not restate.known


def test_an_update_that_changes_nothing_in_restate_makes_no_revision(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1)
    assert failure_of(first, deadline) is None
    restate.asked.clear()

    assert failure_of(event("Update", restate, V1, old=first, DrainSeconds="60"), deadline) is None

    assert not [asked for asked in restate.asked if "forced" in asked]


def test_a_successful_registration_s_delete_also_removes_what_was_registered_by_hand(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    """Registering by hand drops the registrations that were noted."""
    create = event("Create", restate, V1)
    assert failure_of(create, deadline) is None
    by_hand = {"arn": V1, "force": True, "breaking": False, "dry_run": False, "metadata": {"note": "by Ann"}}
    restate.answer("POST", "/deployments", by_hand, None)

    assert failure_of(event("Delete", restate, V1), deadline) is None

    assert not restate.known


@pytest.mark.parametrize("first_role", [None, ROLE])
@pytest.mark.parametrize("arn", [V2, V3])
def test_rolling_back_a_renaming_with_another_role_restores_the_first_role(
    restate: FakeAdmin, deadline: Deadline, arn: str, first_role: str | None
) -> None:
    roles: dict[str, Any] = {"InvokerRoleArn": first_role} if first_role else {}
    first, second = event("Create", restate, V1, **roles), renamed("Create", restate, arn)
    update = event("Update", restate, V2, old=first, **roles)
    second["ResourceProperties"]["InvokerRoleArn"] = f"{ROLE}-of-the-second"
    again = second | {"RequestId": "a repeated request"}
    for each in (first, update, second, again, second | {"RequestType": "Delete"}):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == arn
    assert {known.role for known in restate.known.values() if first_role or known.arn == arn} == {first_role}

    # and if the renaming succeeds, the first role is no longer used
    for each in (second, event("Delete", restate, V2, **roles)):
        assert failure_of(each, deadline) is None
    assert {known.role for known in restate.known.values()} == {f"{ROLE}-of-the-second"}
