"""The response to CloudFormation, and how long it is retried."""

import socket
import threading
from collections.abc import Iterator

import pytest
from werkzeug import Request, Response

from events import V1, V2, Clock, Event, event
from fake_admin import FakeAdmin
from http_server import serving
from registration import cloudformation
from registration.admin import RefusedError, UnavailableError
from registration.cloudformation import answer, handler
from registration.deadline import LONGEST_PAUSE, Deadline


class LambdaContext:
    """Lambda's context, with five minutes left."""

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@pytest.fixture
def statuses() -> list[int]:
    """The fake bucket's statuses before it accepts a response, one per request; 0 closes the connection."""
    return []


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch, statuses: list[int]) -> Iterator[list[dict[str, str]]]:
    """The responses that CloudFormation received, in order. Sets RESPONSE_URL, which the tests' events contain."""
    received: list[dict[str, str]] = []

    def receive(request: Request) -> Response:
        status = statuses.pop(0) if statuses else 200
        if not status:
            raise ConnectionError
        if status == 200:
            received.append(request.get_json(force=True) | {"content_type": request.headers["Content-Type"]})
        return Response(status=status)

    with serving(receive) as url:
        monkeypatch.setattr(f"{__name__}.RESPONSE_URL", f"{url}/answer?signed=yes")
        yield received


RESPONSE_URL = ""
LIST_EXACTLY = "list exactly the services that the function offers."


def test_a_create_registers_and_answers_with_a_physical_id(restate: FakeAdmin, responses: list[dict[str, str]]) -> None:
    create = event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}

    handler(create, LambdaContext())

    assert restate.latest("trips") == V1
    assert responses == [
        {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "restate-TripsRegistration",
            "StackId": "arn:stack",
            "RequestId": create["RequestId"],
            "LogicalResourceId": "TripsRegistration",
            "content_type": "",
        }
    ]


def test_an_update_never_changes_the_physical_id(restate: FakeAdmin, responses: list[dict[str, str]]) -> None:
    old = event("Create", restate, V1)
    update = event("Update", restate, V2, old=old) | {"PhysicalResourceId": "as it was"}

    handler(update | {"ResponseURL": RESPONSE_URL}, LambdaContext())

    assert responses[0]["PhysicalResourceId"] == "as it was"


def test_a_failure_is_one_sentence(restate: FakeAdmin, responses: list[dict[str, str]]) -> None:
    restate.offers[V1] = {}

    handler(event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}, LambdaContext())

    assert responses[0]["Status"] == "FAILED"
    assert responses[0]["Reason"] == f"{V1} was expected to offer trips, but offers nothing: {LIST_EXACTLY}"


@pytest.mark.parametrize("failures", [[503], [500, 0, 503], [0] * 20])
def test_the_response_is_retried_until_it_is_accepted(
    restate: FakeAdmin,
    responses: list[dict[str, str]],
    statuses: list[int],
    deadline: Deadline,
    clock: Clock,
    failures: list[int],
) -> None:
    statuses += failures

    answer(event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}, None, deadline)

    assert [each["Status"] for each in responses] == ["SUCCESS"]
    assert len(clock.pauses) == len(failures)
    assert clock.pauses == sorted(clock.pauses), "the pauses grow"
    assert max(clock.pauses) <= LONGEST_PAUSE


def test_the_response_times_out_and_its_signed_url_is_in_no_message(
    restate: FakeAdmin, responses: list[dict[str, str]], statuses: list[int], deadline: Deadline, clock: Clock
) -> None:
    statuses += [503] * 1000

    with pytest.raises(
        UnavailableError, match=r"^Timed out after 300 seconds: CloudFormation rejected the response with 503$"
    ):
        answer(event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}, None, deadline)

    assert 290 < clock.now <= 300
    assert responses == []


def test_a_rejected_response_is_final(
    restate: FakeAdmin, responses: list[dict[str, str]], statuses: list[int], deadline: Deadline, clock: Clock
) -> None:
    """The URL has expired: CloudFormation has stopped waiting."""
    statuses += [403]

    with pytest.raises(RefusedError, match=r"^CloudFormation rejected the response with 403$"):
        answer(event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}, None, deadline)

    assert clock.pauses == []
    assert responses == []


def test_the_response_gets_the_time_that_the_function_has_left(
    restate: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registration that used all of its time leaves what was kept back, less one attempt that hangs."""
    left = iter([300_000, 30_000])
    given: list[float] = []
    context = LambdaContext()
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: next(left))

    def answered(_: Event, __: str | None, deadline: Deadline) -> None:
        given.append(deadline.seconds)

    monkeypatch.setattr(cloudformation, "answer", answered)

    handler(event("Create", restate, V1), context)

    assert given == [30 - cloudformation.ANSWER_SECONDS]


def test_a_bug_is_reported_by_its_class_and_its_message_is_only_logged(
    restate: FakeAdmin,
    responses: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The message may contain what readers of the stack must not see."""

    def broken(*_: object) -> str:
        raise ZeroDivisionError("while holding key_1234567890")

    monkeypatch.setattr(cloudformation, "register", broken)

    handler(event("Create", restate, V1) | {"ResponseURL": RESPONSE_URL}, LambdaContext())

    assert responses[0]["Status"] == "FAILED"
    assert responses[0]["Reason"] == "The registration function failed with ZeroDivisionError: see its log."
    assert "ZeroDivisionError: while holding" in caplog.text


def test_a_response_that_hangs_is_retried(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that hangs would last until the function times out, and CloudFormation would keep waiting."""
    monkeypatch.setattr(cloudformation, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        end = threading.Timer(5, silent.close)  # without a time-out, the test fails instead of hanging
        end.start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="timed out"):
            answer(event("Create", restate, V1) | {"ResponseURL": url}, None, deadline.within(1))
        end.cancel()
