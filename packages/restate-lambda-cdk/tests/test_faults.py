"""Any request may fail once: what CloudFormation asks for is still done."""

from typing import Any

from events import ROLE, V1, V2, V3, Clock, event
from fake_admin import FakeAdmin, served
from registration.cloudformation import failure_of
from registration.deadline import Deadline

FAULT = (503, "for a moment")


def life(restate: FakeAdmin) -> list[object]:
    """What Restate knows after each event: a create, two updates, a new role, a rollback, and a delete with work in
    flight."""
    role: dict[str, Any] = {"InvokerRoleArn": ROLE}
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first)
    third = event("Update", restate, V3, old=second)
    with_role = event("Update", restate, V3, old=third, **role)
    back = event("Update", restate, V2, old=with_role, **role)
    delete = event("Delete", restate, V2, **role, Callers=["planner"])
    found: list[object] = []
    for each in (first, second, third, with_role, back, delete):
        if each is delete:
            restate.unfinished = {"stuck": next(iter(restate.known))}
        assert failure_of(each, five_minutes()) is None, restate.asked
        found.append((restate.latest("trips"), {known.arn: known.role for known in restate.known.values()}))
    return [*found, *restate.closed, *restate.killed]


def five_minutes() -> Deadline:
    clock = Clock()
    return Deadline(300, lambda: clock.now, clock.sleep)


def test_a_request_that_fails_once_is_retried(restate: FakeAdmin) -> None:
    # given the outcome when every request succeeds
    expected = life(restate)
    assert expected[-3:] == [(None, {}), "trips", "stuck"]
    assert len(restate.asked) > 50

    # when any one request fails, then the outcome is the same
    for number in range(len(restate.asked)):
        with served(FakeAdmin(offers=restate.offers, answers_before=[*[None] * number, FAULT])) as other:
            assert life(other) == expected, f"request {number} failed: {restate.asked[number]}"
