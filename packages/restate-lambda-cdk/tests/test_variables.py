"""A version whose variables differ from its stack's is rejected, unless that would block a rollback."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from events import V1, V2, V3, Clock, Event, event
from fake_admin import FakeAdmin
from registration.cloudformation import failure_of
from registration.deadline import Deadline


class Lambda:
    """Lambda's API: each version's variables, or the given failures, one per call; the last one repeats."""

    def __init__(self) -> None:
        self.has: dict[str, dict[str, str]] = {}
        self.failures: list[Exception] = []
        self.answer: dict[str, Any] = {}
        self.regions: set[str] = set()

    def client(self, _service: str, *, region_name: str, **_: Any) -> "Lambda":
        self.regions.add(region_name)
        return self

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        if self.failures:
            raise self.failures.pop(0) if len(self.failures) > 1 else self.failures[0]
        return self.answer or {"Environment": {"Variables": self.has[FunctionName]}}


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    """V1 was published with the first table, V2 and V3 with the second."""
    functions = Lambda()
    functions.has = {V1: {"TABLE": "one", "LEVEL": "info"}, V2: {"TABLE": "two"}, V3: {"TABLE": "two"}}
    monkeypatch.setattr(boto3, "client", functions.client)
    return functions


def of(kind: str, restate: FakeAdmin, arn: str, table: str, old: Event | None = None, **more: Any) -> Event:
    return event(kind, restate, arn, old=old, Variables={"TABLE": table}, **more)


REFUSED = (
    f"{V1} was published with a different value of TABLE than the stack has now: publish a new version of the function."
)


def test_a_version_whose_variables_match_the_stack_is_registered(
    restate: FakeAdmin, deadline: Deadline, functions: Lambda
) -> None:
    assert failure_of(of("Create", restate, V1, "one"), deadline) is None
    assert functions.regions == {"eu-west-1"}


def test_a_create_whose_version_differs_is_rejected_and_nothing_goes_live(
    restate: FakeAdmin, deadline: Deadline, functions: Lambda
) -> None:
    assert failure_of(of("Create", restate, V1, "two"), deadline) == REFUSED
    functions.has[V1] = {}
    assert failure_of(of("Create", restate, V1, "one"), deadline) == REFUSED
    assert not restate.known


def test_a_replaced_table_without_a_new_version_is_rejected_and_can_be_rolled_back(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = of("Create", restate, V1, "one")
    replaced = of("Update", restate, V1, "two", old=first)
    back = of("Update", restate, V1, "one", old=replaced)

    assert [failure_of(each, deadline) for each in (first, replaced, back)] == [None, REFUSED, None]
    assert restate.latest("trips") == V1


def test_a_replaced_table_with_a_new_version_is_accepted_and_can_be_rolled_back(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = of("Create", restate, V1, "one")
    second = of("Update", restate, V2, "two", old=first)
    back = of("Update", restate, V1, "one", old=second)

    assert [failure_of(each, deadline) for each in (first, second, back)] == [None, None, None]
    assert restate.latest("trips") == V1


def test_a_new_version_that_was_published_before_the_replacement_is_rejected(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = of("Create", restate, V1, "one")
    second = of("Update", restate, V2, "three", old=first)

    assert [failure_of(each, deadline) for each in (first, second)][1]
    assert restate.latest("trips") == V1


def test_an_older_version_is_never_rejected_because_that_may_be_a_rollback(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = of("Create", restate, V1, "one")
    second = of("Update", restate, V2, "two", old=first)
    older = of("Update", restate, V1, "two", old=second)

    assert [failure_of(each, deadline) for each in (first, second, older)] == [None, None, None]


def test_an_existing_difference_does_not_block_another_change(
    restate: FakeAdmin, deadline: Deadline, functions: Lambda
) -> None:
    # given a version that was registered while its variables could not be read
    functions.answer = {"Environment": {"Error": {"ErrorCode": "AccessDenied", "Message": "no key"}}}
    first = of("Create", restate, V1, "two")
    assert failure_of(first, deadline) is None

    functions.answer = {}
    assert failure_of(of("Update", restate, V1, "two", old=first, DrainSeconds="60"), deadline) is None


def test_a_rollback_to_variables_that_were_accepted_unread_is_not_rejected(
    restate: FakeAdmin, deadline: Deadline, functions: Lambda
) -> None:
    # given a version that was registered with another table, because its variables could not be read
    functions.answer = {"Environment": {"Error": {"ErrorCode": "AccessDenied", "Message": "no key"}}}
    first = of("Create", restate, V1, "two")
    assert failure_of(first, deadline) is None
    functions.answer = {}

    # when that is changed, then the change can be rolled back
    second = of("Update", restate, V1, "three", old=first)
    assert failure_of(second, deadline) is None
    assert failure_of(of("Update", restate, V1, "two", old=second), deadline) is None


@pytest.mark.parametrize(("was", "then", "lost"), [(V1, V2, False), (V1, V2, True), (V3, V2, False)])
def test_a_rollback_to_another_version_that_was_accepted_unread_is_not_rejected(
    restate: FakeAdmin, deadline: Deadline, functions: Lambda, was: str, then: str, lost: bool
) -> None:
    """Whether Restate still knows it, or has lost it and it is the older one."""
    functions.answer = {"Environment": {"Error": {"ErrorCode": "AccessDenied", "Message": "no key"}}}
    first = of("Create", restate, was, "another")
    assert failure_of(first, deadline) is None
    functions.answer = {}
    second = of("Update", restate, then, "two", old=first)
    assert failure_of(second, deadline) is None
    if lost:
        restate.known.clear()

    assert failure_of(of("Update", restate, was, "another", old=second), deadline) is None


def test_a_new_permission_is_waited_for(restate: FakeAdmin, deadline: Deadline, functions: Lambda) -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "why"}}, "GetFunctionConfiguration")
    gone = ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "why"}}, "GetFunctionConfiguration")
    functions.failures = [denied, denied, gone]

    assert failure_of(of("Create", restate, V1, "one"), deadline) is None


@pytest.mark.parametrize(
    "why",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "why"}}, "GetFunctionConfiguration"),
        EndpointConnectionError(endpoint_url="https://lambda"),
        {"Environment": {"Error": {"ErrorCode": "KMSAccessDeniedException", "Message": "why"}}},
    ],
)
def test_variables_that_cannot_be_read_are_only_a_warning(
    restate: FakeAdmin,
    deadline: Deadline,
    functions: Lambda,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    why: Exception | dict[str, Any],
) -> None:
    if isinstance(why, Exception):
        functions.failures = [why]
    else:
        functions.answer = why

    assert failure_of(of("Create", restate, V1, "one"), deadline) is None

    assert f"could not compare the variables of {V1} with the stack's" in caplog.text
    assert clock.now <= 20
    assert restate.latest("trips") == V1


def test_without_references_lambda_is_not_called(restate: FakeAdmin, deadline: Deadline, functions: Lambda) -> None:
    for event_ in (event("Create", restate, V1), event("Update", restate, V2, old=event("Create", restate, V1))):
        assert failure_of(event_, deadline) is None

    assert not functions.regions
