"""No service is taken over silently from another function, or from a server by URL."""

import pytest

from events import FUNCTION, ROLE, V1, V2, V3, event
from fake_admin import FakeAdmin, served
from registration.admin import Admin, Service
from registration.cloudformation import failure_of
from registration.deadline import Deadline

ANNS = f"{FUNCTION}-of-ann:7"
ANNS_STACK = {"StackId": "arn:stack/ann/1"}
SERVER = "http://10.0.0.7:9080"
MAKE_SERVE = {"development-server": "make serve"}
WRITES = ("PATCH", "DELETE")


@pytest.fixture
def restate(restate: FakeAdmin) -> FakeAdmin:
    """It can reach another function and a server, which both offer trips."""
    restate.offers |= {ANNS: {"trips": ["reserve"]}, SERVER: {"trips": ["reserve"]}}
    return restate


def register(restate: FakeAdmin, address: str, metadata: dict[str, str] | None = None) -> None:
    """Register it as the latest, by hand or by another stack."""
    kind = "uri" if address == SERVER else "arn"
    body = {kind: address, "force": True, "breaking": True, "dry_run": False, "metadata": metadata or {}}
    restate.answer("POST", "/deployments", body, None)


def what_is_known(restate: FakeAdmin) -> dict[str, dict[str, int]]:
    """All deployments, with their services' revisions."""
    return {known.arn: dict(known.services) for known in restate.known.values()}


def changes(restate: FakeAdmin) -> list[str]:
    """The requests that change something."""
    return [
        each
        for each in restate.asked
        if each.startswith(WRITES) or (each.startswith("POST /deployments") and not each.endswith("dry"))
    ]


@pytest.mark.parametrize("owner", [ANNS, SERVER])
def test_a_service_is_not_taken_over_by_default(restate: FakeAdmin, deadline: Deadline, owner: str) -> None:
    # given a service that is already served
    register(restate, owner)
    ((deployment_id, _),) = restate.known.items()
    before = what_is_known(restate)
    restate.asked.clear()

    # when a new stack registers it too, then that fails, with a sentence that says who serves it and what to do
    assert failure_of(event("Create", restate, V1), deadline) == (
        f"trips is served by {owner} already (deployment {deployment_id}): "
        "remove that deployment, register with another Restate, or set take_over."
    )

    # and neither that nor the Delete that CloudFormation may send then changes anything
    assert failure_of(event("Delete", restate, V1), deadline) is None
    assert what_is_known(restate) == before
    assert changes(restate) == []


@pytest.mark.parametrize("owner", [ANNS, SERVER])
def test_a_service_is_taken_over_on_request(restate: FakeAdmin, deadline: Deadline, owner: str) -> None:
    register(restate, owner)

    assert failure_of(event("Create", restate, V1, TakeOver="true"), deadline) is None

    assert restate.latest("trips") == V1
    assert restate.arns() == {owner, V1}, "it may have work in flight"


def test_if_one_of_several_services_is_already_served_none_is_registered(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    restate.offers |= {ANNS: {"reports": ["list"]}, V1: {"trips": ["reserve"], "reports": ["list"]}}
    register(restate, ANNS)

    both = event("Create", restate, V1, ServiceNames=["reports", "trips"])
    assert f"reports is served by {ANNS} already" in str(failure_of(both, deadline))

    assert restate.arns() == {ANNS}


@pytest.mark.parametrize("lost", [False, True])
def test_a_rejected_update_rolls_back_and_leaves_the_other_alone(
    restate: FakeAdmin, deadline: Deadline, caplog: pytest.LogCaptureFixture, lost: bool
) -> None:
    # given a registration that was taken over, whose own version Restate still knows, or has lost
    first = event("Create", restate, V2)
    failure_of(first, deadline)
    if lost:
        restate.known.clear()
    register(restate, ANNS)
    before = what_is_known(restate)
    restate.asked.clear()

    # when it is updated, then the update fails, and the rollback succeeds
    second = event("Update", restate, V3, old=first)
    assert f"trips is served by {ANNS} already" in str(failure_of(second, deadline))
    assert failure_of(event("Update", restate, V2, old=second), deadline) is None

    # and nothing has changed, which the log says
    assert what_is_known(restate) == before
    assert changes(restate) == []
    assert f"{V2} does not become the latest" in caplog.text


@pytest.mark.parametrize("lost", [False, True])
def test_another_property_of_a_version_that_was_taken_over_can_be_changed_and_changed_back(
    restate: FakeAdmin, deadline: Deadline, lost: bool
) -> None:
    """And its work in flight continues with the role that is granted then."""
    first = event("Create", restate, V1, InvokerRoleArn=ROLE)
    failure_of(first, deadline)
    if lost:
        restate.known.clear()
    register(restate, ANNS)
    second = event("Update", restate, V1, old=first, InvokerRoleArn=f"{ROLE}-2")

    for each, role in ((second, f"{ROLE}-2"), (event("Update", restate, V1, old=second, InvokerRoleArn=ROLE), ROLE)):
        assert failure_of(each, deadline) is None

        assert restate.latest("trips") == ANNS
        assert [known.role for known in restate.known.values() if known.arn == V1] == ([] if lost else [role])


def test_a_rejected_update_to_another_function_rolls_back(restate: FakeAdmin, deadline: Deadline) -> None:
    renamed = f"{FUNCTION}-renamed:1"
    restate.offers[renamed] = {"trips": ["reserve"]}
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    register(restate, ANNS)
    before = what_is_known(restate)
    second = event("Update", restate, renamed, old=first)

    assert f"trips is served by {ANNS} already" in str(failure_of(second, deadline))
    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    assert what_is_known(restate) == before


def test_a_new_function_takes_over_from_its_predecessor_and_the_rollback_restores_that(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    renamed = f"{FUNCTION}-renamed:1"
    restate.offers[renamed] = {"trips": ["reserve"]}
    first = event("Create", restate, V3)
    failure_of(first, deadline)
    second = event("Update", restate, renamed, old=first)

    assert failure_of(second, deadline) is None
    assert restate.arns() == {renamed}

    assert failure_of(event("Update", restate, V3, old=second), deadline) is None
    assert restate.arns() == {V3}


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_lost_registration_is_recreated_if_nothing_else_serves(
    restate: FakeAdmin, deadline: Deadline, kind: str
) -> None:
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    restate.known.clear()

    assert failure_of(event(kind, restate, V1, old=first), deadline) is None

    assert restate.latest("trips") == V1


def test_a_stack_that_is_created_again_replaces_what_its_deletion_left_behind(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    # given a stack that was deleted while Restate was down
    again = f"{FUNCTION}-again:1"
    restate.offers[again] = {"trips": ["reserve"]}
    failure_of(event("Create", restate, V1), deadline)

    # when another stack registers the same service, then that is refused
    anns = event("Create", restate, ANNS) | ANNS_STACK
    assert f"trips is served by {V1} already" in str(failure_of(anns, deadline))

    # but the same stack, with a new function, is not
    assert failure_of(event("Create", restate, again), deadline) is None
    assert restate.latest("trips") == again
    assert restate.arns() == {again}


def test_a_move_to_another_restate_takes_nothing_over_there_and_can_be_rolled_back(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    with served(FakeAdmin(offers=restate.offers)) as crowded:
        register(crowded, ANNS)
        first = event("Create", restate, V1)
        failure_of(first, deadline)
        second = event("Update", crowded, V1, old=first)

        assert f"trips is served by {ANNS} already" in str(failure_of(second, deadline))
        assert failure_of(event("Update", restate, V1, old=second), deadline) is None

        assert (restate.latest("trips"), crowded.latest("trips")) == (V1, ANNS)
        assert crowded.arns() == {ANNS}


def test_the_previous_owner_takes_nothing_back_silently_and_serves_again_after_the_other_s_delete(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = event("Create", restate, V1)
    anns = event("Create", restate, ANNS, TakeOver="true") | ANNS_STACK
    assert [failure_of(each, deadline) for each in (first, anns)] == [None, None]

    second = event("Update", restate, V2, old=first)
    assert f"trips is served by {ANNS} already" in str(failure_of(second, deadline))

    assert failure_of(event("Delete", restate, ANNS) | ANNS_STACK, deadline) is None
    assert restate.latest("trips") == V1
    assert failure_of(second, deadline) is None
    assert restate.latest("trips") == V2


def test_a_development_server_is_always_taken_over(restate: FakeAdmin, deadline: Deadline) -> None:
    """`make serve`, running or killed."""
    restate.offers[SERVER] = {"trips": ["reserve", "a handler that is being written"]}
    first, second = event("Create", restate, V1), event("Create", restate, V2)
    for each in (first, event("Update", restate, V2, old=first), event("Update", restate, V1, old=second)):
        register(restate, SERVER, MAKE_SERVE)

        assert failure_of(each, deadline) is None

        assert restate.latest("trips") == each["ResourceProperties"]["FunctionVersionArn"]


def test_a_deployment_that_is_missing_from_only_one_of_two_lists_is_looked_up_again(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(restate, ANNS)
    (deployment_id,) = restate.known
    before, services = Admin(restate.url).services(), Admin.services
    restate.known.clear()
    stale = iter([before])

    def late(admin: Admin) -> dict[str, Service]:
        return next(stale, None) or services(admin)

    monkeypatch.setattr(Admin, "services", late)

    assert failure_of(event("Create", restate, V1), deadline) is None

    assert before["trips"].deployment_id == deployment_id
    assert restate.asked.count("POST /deployments dry") == 2
    assert restate.latest("trips") == V1
