"""A failed Create: its Delete deregisters what it registered, and nothing else."""

import pytest

from events import V1, V2, deleted, event, renamed
from fake_admin import FakeAdmin
from registration.admin import AdminError
from registration.cloudformation import failure_of
from registration.deadline import Deadline


@pytest.fixture
def never_latest(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Registrations fail after their last change in Restate."""

    def check_latest(*_: object) -> None:
        raise AdminError("not the latest")

    monkeypatch.setattr("registration.registering.check_latest", check_latest)
    return monkeypatch


@pytest.fixture
def restate_goes_down(restate: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Restate goes down at the end of a registration, for good."""

    def check_latest(*_: object) -> None:
        restate.answers_before = [(503, "down")] * 1000
        raise AdminError("not the latest")

    monkeypatch.setattr("registration.registering.check_latest", check_latest)
    return monkeypatch


def test_a_create_that_fails_while_restate_goes_down_is_cleaned_up_by_its_delete(
    restate: FakeAdmin, deadline: Deadline, restate_goes_down: pytest.MonkeyPatch
) -> None:
    # given a first registration that failed and could not be cleaned up
    create = event("Create", restate, V1)
    failure = failure_of(create, deadline)
    assert failure == "not the latest" and restate.arns() == {V1}

    # when Restate is back, and CloudFormation deletes it
    restate.answers_before.clear()
    assert failure_of(deleted(create, failure, restate_goes_down, deadline), deadline) is None

    assert not restate.known and restate.closed == {"trips"}


@pytest.mark.parametrize("by", ["another registration", "the same one, retried", "hand"])
def test_the_delete_of_a_failed_create_leaves_later_registrations_alone(
    restate: FakeAdmin, deadline: Deadline, restate_goes_down: pytest.MonkeyPatch, by: str
) -> None:
    create = event("Create", restate, V1)
    failure = failure_of(create, deadline)
    restate.answers_before.clear()
    restate_goes_down.undo()

    match by:
        case "hand":
            by_hand = {"arn": V1, "force": True, "breaking": False, "dry_run": False}
            restate.answer("POST", "/deployments", by_hand, None)
        case "another registration":
            assert failure_of(renamed("Create", restate, V1), deadline) is None
        case _:
            assert failure_of(event("Create", restate, V1), deadline) is None
    assert failure_of(deleted(create, failure, restate_goes_down, deadline), deadline) is None

    assert restate.latest("trips") == V1
    assert not restate.closed


@pytest.mark.parametrize("arn", [V1, V2])
def test_a_failed_create_and_its_delete_leave_a_function_that_was_registered_before(
    restate: FakeAdmin, deadline: Deadline, never_latest: pytest.MonkeyPatch, arn: str
) -> None:
    by_hand = {"arn": V1, "force": False, "breaking": False, "dry_run": False}
    restate.answer("POST", "/deployments", by_hand, None)
    create = event("Create", restate, arn)

    failure = failure_of(create, deadline)
    assert failure_of(deleted(create, failure, never_latest, deadline), deadline) is None

    assert restate.arns() == {V1, arn}
    assert not restate.closed
