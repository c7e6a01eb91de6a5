"""What trips reads from an error that Restate passes on."""

import pytest
from restate import TerminalError

from holiday.failures import BookingError, Failure, Reason


@pytest.mark.parametrize(
    ("error", "reason", "cause"),
    [
        (BookingError("duplicate", "held"), "duplicate", "held"),
        (TerminalError("sold out", 409, {"reason": "a newer version's"}), "unknown", "sold out"),
        (TerminalError("cancelled", 409), "cancelled", "it was cancelled"),
        (TerminalError("Traceback …", 500), "given up", "it kept failing and was given up"),
        (TerminalError("Traceback …", 500, {"other": "word"}), "given up", "it kept failing and was given up"),
    ],
)
def test_a_failure_has_a_reason_to_branch_on_and_a_cause_in_plain_words(
    error: TerminalError, reason: Reason, cause: str
) -> None:
    assert Failure.of("foo", "flights.reserve", error) == Failure("foo", "flights.reserve", reason, cause)


def test_the_caller_is_told_the_failure_and_its_compensations_as_metadata() -> None:
    failure = Failure("foo", "cars.reserve", "simulated", "as asked")

    error = failure.error(422, "not booked", "flights.cancel")

    assert (error.status_code, error.message) == (422, "not booked")
    assert error.metadata == {
        "trip_id": "foo",
        "step": "cars.reserve",
        "reason": "simulated",
        "cause": "as asked",
        "compensations": "flights.cancel",
    }


@pytest.mark.parametrize(("reason", "has_hint"), [("duplicate", True), ("rolled back", True), ("simulated", False)])
def test_an_error_that_the_caller_can_fix_has_a_hint(reason: Reason, has_hint: bool) -> None:
    error = Failure("oslo", "flights.reserve", reason, "any").error(422, "any")

    assert ("hint" in (error.metadata or {})) == has_hint
