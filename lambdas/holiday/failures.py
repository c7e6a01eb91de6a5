"""Why something failed for good: a reason to branch on and the cause in words.

Restate carries only an error's text, status and metadata. This module writes the reason into them and reads it back.
"""

from typing import Literal, get_args

from msgspec import Struct, structs
from restate import TerminalError

Reason = Literal[
    "booked before",  # the gate: an earlier run of this request booked the trip
    "rolled back",  # the gate: an earlier run of this request was rolled back
    "duplicate",  # the gate: another reservation has the trip id
    "simulated",  # the caller asked for it
    "not reserved",  # the booking to make or confirm was compensated, or never made
    "cancelled",  # the invocation was cancelled
    "given up",  # a step kept failing
    "invalid",  # the request or an id is invalid
    "unknown",  # a reason from a newer version
]
REASONS: dict[str, Reason] = {reason: reason for reason in get_args(Reason)}
HINTS: dict[Reason, str] = {
    "duplicate": "Choose another trip_id.",
    "rolled back": "To try again, send a new idempotency key.",
}
"""What the caller can do about these."""


class BookingError(TerminalError):
    """Raised by a handler that fails for good. Restate does not retry it."""

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
        """Quotes only our own errors: the text of a step that Restate gave up on can contain a stack trace."""
        if said := (error.metadata or {}).get("reason"):
            return cls(trip_id, step, REASONS.get(said, "unknown"), error.message)
        if error.message == "cancelled":
            return cls(trip_id, step, "cancelled", "it was cancelled")
        return cls(trip_id, step, "given up", "it kept failing and was given up")

    def error(self, status: int, message: str, compensations: str = "") -> TerminalError:
        """The error that the caller gets: its metadata is this failure and the compensations that were sent."""
        hint = {"hint": HINTS[self.reason]} if self.reason in HINTS else {}
        return TerminalError(message, status, {**structs.asdict(self), "compensations": compensations, **hint})
