"""All services of a function are listed, checked, promoted and deregistered together, or rejected."""

import pytest

from events import V1, V2, V3, deleted, event
from fake_admin import FakeAdmin
from registration.cloudformation import failure_of
from registration.deadline import Deadline

BOTH = ["reports", "trips"]


@pytest.fixture
def restate(restate: FakeAdmin) -> FakeAdmin:
    for version in (V1, V2, V3):
        restate.offers[version] = {"trips": ["reserve"], "reports": ["list"]}
    return restate


def test_both_become_the_latest_and_both_are_rolled_back(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1, ServiceNames=BOTH)
    second = event("Update", restate, V2, old=first, ServiceNames=BOTH)
    back = event("Update", restate, V1, old=second, ServiceNames=BOTH)
    for each in (first, second, back):
        assert failure_of(each, deadline) is None

        arn = each["ResourceProperties"]["FunctionVersionArn"]
        assert {restate.latest(name) for name in BOTH} == {arn}

    assert failure_of(event("Delete", restate, V1, ServiceNames=BOTH), deadline) is None
    assert not restate.known and restate.closed == {*BOTH}


@pytest.mark.parametrize("named", [["trips"], ["reports", "trips", "flights"], ["flights"]])
def test_a_function_that_offers_other_services_than_listed_never_goes_live(
    restate: FakeAdmin, deadline: Deadline, named: list[str]
) -> None:
    assert failure_of(event("Create", restate, V1, ServiceNames=named), deadline) == (
        f"{V1} was expected to offer {', '.join(sorted(named))}, but offers reports, trips: list exactly the services "
        "that the function offers."
    )
    assert not restate.known


def test_the_handlers_of_each_service_are_checked(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1, ServiceNames=BOTH)
    assert failure_of(first, deadline) is None
    restate.offers[V2] = {"trips": ["reserve"], "reports": ["other"]}

    second = event("Update", restate, V2, old=first, ServiceNames=BOTH)
    assert "reports would lose list" in str(failure_of(second, deadline))
    assert {restate.latest(name) for name in BOTH} == {V1}


def test_dropping_a_service_is_a_breaking_change(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1, ServiceNames=BOTH)
    assert failure_of(first, deadline) is None
    restate.offers[V2] = restate.offers[V3] = {"trips": ["reserve"]}

    second = event("Update", restate, V2, old=first, ServiceNames=["trips"])
    assert f"{V2} would lose the service reports" in str(failure_of(second, deadline))
    assert failure_of(event("Update", restate, V1, old=second, ServiceNames=BOTH), deadline) is None

    # when that is allowed, the service is closed, and deregistered with its last version
    second = event("Update", restate, V2, old=first, ServiceNames=["trips"], AllowBreakingChanges="true")
    assert failure_of(second, deadline) is None
    assert restate.closed == {"reports"}
    third = event("Update", restate, V3, old=second, ServiceNames=["trips"])
    assert failure_of(third, deadline) is None
    assert restate.latest("reports") is None


def test_a_rollback_restores_a_dropped_service(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1, ServiceNames=BOTH)
    restate.offers[V2] = {"trips": ["reserve"]}
    second = event("Update", restate, V2, old=first, ServiceNames=["trips"], AllowBreakingChanges="true")
    back = event("Update", restate, V1, old=second, ServiceNames=BOTH)
    for each in (first, second, back):
        assert failure_of(each, deadline) is None

    assert {restate.latest(name) for name in BOTH} == {V1}


def test_a_version_that_is_the_latest_for_only_one_service_is_promoted(restate: FakeAdmin, deadline: Deadline) -> None:
    # given two versions, the older of which is the latest for only one of its services
    first = event("Create", restate, V1, ServiceNames=BOTH)
    assert failure_of(first, deadline) is None
    restate.offers[V2] = {"trips": ["reserve"]}
    restate.answer("POST", "/deployments", {"arn": V2, "force": True, "breaking": True, "dry_run": False}, None)
    assert [restate.latest(name) for name in BOTH] == [V1, V2]

    # when the older one is registered again
    assert failure_of(event("Update", restate, V1, old=first, ServiceNames=BOTH), deadline) is None

    assert {restate.latest(name) for name in BOTH} == {V1}


def test_the_delete_of_a_rejected_create_leaves_the_function_s_other_registration_alone(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a registered function, and a second registration of it that is rejected
    assert failure_of(event("Create", restate, V1, ServiceNames=BOTH), deadline) is None
    second = event("Create", restate, V1, ServiceNames=["reports"])
    failure = failure_of(second, deadline)

    # when CloudFormation deletes the second one
    assert failure_of(deleted(second, failure, monkeypatch, deadline), deadline) is None

    # then the first one still serves
    assert {restate.latest(name) for name in BOTH} == {V1}
    assert not restate.closed
