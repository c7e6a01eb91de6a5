"""A rollback opens the services that the update closed, and hands back those that it took over."""

import pytest

from events import FUNCTION, ROLE, V1, V2, V3, event
from fake_admin import FakeAdmin
from registration.cloudformation import failure_of
from registration.deadline import Deadline

ANNS = f"{FUNCTION}-of-ann:7"
ANNS_STACK = {"StackId": "arn:stack/ann/1"}
SERVER = "http://10.0.0.7:9080"
CHANGES = {"AllowBreakingChanges": "true", "TakeOver": "true"}


@pytest.fixture
def restate(restate: FakeAdmin) -> FakeAdmin:
    """V1 and V3 offer trips; V2, Ann's function and a server offer reports."""
    restate.offers |= {each: {"reports": ["list"]} for each in (V2, ANNS, SERVER)}
    return restate


def register(restate: FakeAdmin, address: str) -> None:
    kind = {"uri": SERVER} if address == SERVER else {"arn": ANNS, "assume_role_arn": ROLE}
    body = {"force": True, "breaking": True, "dry_run": False, "metadata": {"team": "Ann"}}
    restate.answer("POST", "/deployments", kind | body, None)


def test_a_service_that_was_renamed_is_open_again_after_the_rollback(restate: FakeAdmin, deadline: Deadline) -> None:
    # given a function whose new version offers another service, which closes the previous one
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    for each in (first, second):
        assert failure_of(each, deadline) is None
    assert not restate.is_open("trips")

    # when that is rolled back, then the previous service is open again
    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    assert restate.is_open("trips")
    assert restate.latest("trips") == V1

    # and a later update needs no new revision to keep it open
    revision = restate.known[next(iter(restate.known))].services
    assert failure_of(event("Update", restate, V1, old=first, DrainSeconds="60"), deadline) is None
    assert restate.known[next(iter(restate.known))].services == revision


@pytest.mark.parametrize("owner", [ANNS, SERVER])
def test_after_the_rollback_of_a_take_over_the_previous_owner_serves_again(
    restate: FakeAdmin, deadline: Deadline, owner: str
) -> None:
    # given a service that an update took over, with work in flight on the new version
    register(restate, owner)
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    for each in (first, second):
        assert failure_of(each, deadline) is None
    assert restate.latest("reports") == V2
    restate.unfinished = {"inv_1": next(known.id for known in restate.known.values() if known.arn == V2)}

    # when that is rolled back
    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    # then its owner serves it as before, and the work in flight can finish where it started
    assert restate.latest("reports") == owner
    assert restate.is_open("reports") and restate.is_open("trips")
    (its,) = (known for known in restate.known.values() if known.arn == owner)
    assert (its.metadata, its.role) == ({"team": "Ann"}, ROLE if owner == ANNS else None)
    assert V2 in restate.arns() and not restate.killed

    # and when that is done, the next update deregisters the version
    restate.unfinished.clear()
    assert failure_of(event("Update", restate, V3, old=first), deadline) is None
    assert restate.arns() == {owner, V1, V3}


@pytest.mark.parametrize("by_update", [False, True])
def test_a_service_that_moved_to_another_function_of_the_stack_moves_back_in_the_rollback(
    restate: FakeAdmin, deadline: Deadline, by_update: bool
) -> None:
    # given a function with two services, one of which moves to another function, new or existing
    other = [f"{FUNCTION}-2:{number}" for number in (1, 2)]
    restate.offers |= {V1: {"trips": ["reserve"], "reports": ["list"]}, V2: {"trips": ["reserve"]}}
    restate.offers |= {other[0]: {"bills": ["pay"]}, other[1]: {"bills": ["pay"], "reports": ["list"]}}
    its = {"LogicalResourceId": "OtherRegistration"}
    first = event("Create", restate, V1, ServiceNames=["trips", "reports"])
    second = event("Update", restate, V2, old=first, **CHANGES)
    older = event("Create", restate, other[0], ServiceNames=["bills"]) | its
    kind, old = ("Update", older) if by_update else ("Create", None)
    newer = event(kind, restate, other[1], old=old, ServiceNames=["bills", "reports"], **CHANGES) | its
    for each in [first, *([older] if by_update else []), second, newer]:
        assert failure_of(each, deadline) is None
    assert restate.latest("reports") == other[1]

    # when that is rolled back, the first function before the other
    back = event("Update", restate, V1, old=second, ServiceNames=["trips", "reports"])
    rolled_back = event("Update", restate, other[0], old=newer, ServiceNames=["bills"]) if by_update else newer
    for each in (back, rolled_back | its | {"RequestType": "Update" if by_update else "Delete"}):
        assert failure_of(each, deadline) is None

    # then both are served as before, and open
    assert (restate.latest("trips"), restate.latest("reports")) == (V1, V1)
    assert restate.is_open("trips") and restate.is_open("reports")
    assert restate.latest("bills") == (other[0] if by_update else None)


def test_what_another_stack_took_over_is_not_taken_back_in_a_rollback(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    restate.offers[ANNS] = {"trips": ["reserve"]}
    anns = event("Create", restate, ANNS, TakeOver="true") | ANNS_STACK
    for each in (first, second, anns, event("Update", restate, V1, old=second)):
        assert failure_of(each, deadline) is None

    assert restate.latest("trips") == ANNS


def test_nothing_is_handed_back_to_a_version_that_was_rolled_back(restate: FakeAdmin, deadline: Deadline) -> None:
    # given Ann's function, which took over trips, and was rolled back to a version with another service
    anns = [f"{FUNCTION}-of-ann:{number}" for number in (7, 8)]
    restate.offers |= {anns[0]: {"bills": ["pay"]}, anns[1]: {"trips": ["reserve"]}}
    theirs = event("Create", restate, anns[0], ServiceNames=["bills"])
    first = event("Create", restate, V1)
    taken = event("Update", restate, anns[1], old=theirs, **CHANGES)
    back = event("Update", restate, anns[0], old=taken, ServiceNames=["bills"])
    for each in (theirs | ANNS_STACK, first, taken | ANNS_STACK, back | ANNS_STACK):
        assert failure_of(each, deadline) is None
    assert restate.latest("trips") == V1

    # when the owner is updated to another service too, and that is rolled back
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    assert failure_of(second, deadline) is None
    assert restate.latest("trips") == V1 and not restate.is_open("trips")
    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    # then the owner serves trips again
    assert restate.latest("trips") == V1 and restate.is_open("trips")


def test_a_service_is_not_handed_back_if_that_would_take_another_from_its_owner(
    restate: FakeAdmin, deadline: Deadline, caplog: pytest.LogCaptureFixture
) -> None:
    # given Ann's function, which served reports until the take-over, and bills, which the server serves by now
    restate.offers |= {ANNS: {"reports": ["list"], "bills": ["pay"]}, SERVER: {"bills": ["pay"]}}
    register(restate, ANNS)
    register(restate, SERVER)
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    for each in (first, second, event("Update", restate, V1, old=second)):
        assert failure_of(each, deadline) is None

    # then reports stays open on the new version, and the log says why
    assert restate.latest("bills") == SERVER
    assert (restate.latest("reports"), restate.is_open("reports")) == (V2, True)
    assert f"reports is not handed back to {ANNS}, because that would also take ['bills']" in caplog.text


def test_a_rollback_succeeds_even_if_the_previous_owner_can_no_longer_be_invoked(
    restate: FakeAdmin, deadline: Deadline, caplog: pytest.LogCaptureFixture
) -> None:
    register(restate, ANNS)
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first, ServiceNames=["reports"], **CHANGES)
    for each in (first, second):
        assert failure_of(each, deadline) is None
    restate.roles = {None}  # no longer the role of Ann's function

    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    assert restate.latest("trips") == V1
    assert f"reports cannot be handed back to {ANNS}" in caplog.text
