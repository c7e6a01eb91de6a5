"""Why something failed for good: a reason to branch on and the cause in words, and how Restate carries both.

Restate knows only an error's text, status and metadata. Here they are made from a reason and read as one again.
"""

from typing import Literal, get_args

from msgspec import Struct, structs
from restate import TerminalError

Reason = Literal[
    "booked before",  # the gate: an earlier run of this request booked the trip
    "rolled back",  # the gate: an earlier run of this request was rolled back
    "duplicate",  # the gate: another reservation holds the trip id
    "simulated",  # the caller asked for it
    "not reserved",  # what is to be confirmed, or booked, was compensated or never made
    "cancelled",  # somebody cancelled the invocation
    "given up",  # a step kept failing
    "invalid",  # the request, or an id, is not one
    "unknown",  # a newer version's
]
REASONS: dict[str, Reason] = {reason: reason for reason in get_args(Reason)}
HINTS: dict[Reason, str] = {
    "duplicate": "Choose another trip_id.",
    "rolled back": "To try again, send a new idempotency key.",
}
"""What a caller can do who gets one of these."""


class BookingError(TerminalError):
    """What a handler raises when it fails for good. Restate does not retry it."""

    def __init__(self, reason: Reason, message: str, status: int = 409, hint: str = "") -> None:
        super().__init__(message, status, {"reason": reason} | ({"hint": hint} if hint else {}))


class Failure(Struct, frozen=True):
    """Why a trip was not booked: the step that failed, a reason to branch on, and the cause in words."""

    trip_id: str
    step: str
    reason: Reason
    cause: str

    @classmethod
    def of(cls, trip_id: str, step: str, error: TerminalError) -> "Failure":
        """Only our own errors are quoted: the text of a step that Restate gave up on can hold a stack trace."""
        if said := (error.metadata or {}).get("reason"):
            return cls(trip_id, step, REASONS.get(said, "unknown"), error.message)
        if error.message == "cancelled":
            return cls(trip_id, step, "cancelled", "it was cancelled")
        return cls(trip_id, step, "given up", "it kept failing and was given up")

    def error(self, status: int, message: str, compensations: str = "") -> TerminalError:
        """What the caller gets: the message, and as metadata this failure and which compensations were sent."""
        hint = {"hint": HINTS[self.reason]} if self.reason in HINTS else {}
        return TerminalError(message, status, {**structs.asdict(self), "compensations": compensations, **hint})
