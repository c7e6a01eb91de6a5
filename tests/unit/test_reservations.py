"""Which run of a trip each log line and each notice belongs to."""

import io
from datetime import UTC, datetime

from rich.console import Console

from demo.reservations import Call, Run
from demo.rows import show_notices
from demo.trip import Line, answered, by_run


def line(ms: int, invocation: str, handler: str, message: str) -> Line:
    service, _, handler = handler.partition(".")
    when = {"timestamp": at(ms).isoformat(timespec="milliseconds"), "invocation_id": invocation}
    return when | {"service": service, "handler": handler, "message": message}


def at(ms: int) -> datetime:
    return datetime(2026, 11, 28, 15, 0, 0, ms * 1000, UTC)


def called(ms: int, run: str) -> Call:
    return Call("any", run, "any", at(ms), "success", {})


def test_steps_of_overlapping_runs_belong_to_the_run_that_called_them() -> None:
    lines = [
        line(1, "a", "trips.reserve", "flights.reserve"),
        line(2, "b", "trips.reserve", "flights.reserve"),
        line(3, "b1", "flights.reserve", "done"),
        line(4, "a1", "flights.reserve", "refused"),
        line(5, "b", "trips.reserve", "done"),
        line(6, "a", "trips.reserve", "refused"),
    ]

    numbers, found = by_run(lines, {"a1": called(1, "a"), "b1": called(2, "b")})

    assert numbers == [1, 2, 2, 1, 2, 1]
    assert [(run.id, run.answer) for run in found] == [("a", "refused"), ("b", "done")]


def test_a_reused_key_is_another_run_under_the_same_invocation_id() -> None:
    lines = [
        line(1, "a", "trips.reserve", "flights.reserve"),
        line(2, "a", "trips.reserve", "refused"),
        line(9, "a", "trips.reserve", "flights.reserve"),
        line(10, "a1", "flights.cancel", "done"),  # a late line of the first run
        line(11, "a2", "flights.reserve", "refused"),
        line(12, "a", "trips.reserve", "refused"),
    ]

    numbers, found = by_run(lines, {"a1": called(2, "a"), "a2": called(9, "a")})

    assert numbers == [1, 1, 2, 1, 2, 2]
    # and Restate's answer is the last run's
    known = [Run("a", at(9), "[422] rolled back before")]
    assert [run.answer for run in answered(found, known)] == ["refused", "[422] rolled back before"]


def test_an_end_that_is_logged_twice_because_its_answer_was_lost_counts_as_one_run() -> None:
    ends = [line(ms, "a", "trips.reserve", "done") for ms in (2, 3)]

    numbers, found = by_run([line(1, "a", "trips.reserve", "flights.reserve"), *ends], {})

    assert (numbers, len(found)) == ([1, 1, 1], 1)


def test_a_line_whose_caller_was_purged_belongs_to_no_run() -> None:
    lines = [line(1, "a", "trips.reserve", "flights.reserve"), line(2, "a1", "flights.reserve", "done")]

    assert by_run(lines, {})[0] == [1, None]


def test_a_notice_that_sns_has_not_accepted_is_not_shown_as_published() -> None:
    notice = {"status": "failure", "message": "Trip oslo was not booked."}
    sent = [Call(status, "a", "trips/notify", at(1), status, notice) for status in ("success", "backing-off")]
    console = Console(file=io.StringIO(), width=120)

    show_notices([(call, "1") for call in sent], console)

    assert isinstance(console.file, io.StringIO)
    said = " ".join(console.file.getvalue().split())
    assert "failure 1 published Trip oslo" in said
    assert "failure 1 not yet (backing-off) Trip oslo" in said
