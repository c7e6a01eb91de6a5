"""A saga's bookkeeping: which step is under way, and how to compensate what has been asked for so far.

Nothing here awaits anything but the steps. Compensations are one-way messages: one that is sent can no longer be
interrupted by a cancellation, whereas one that is awaited can be cancelled before it has begun.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import restate
from restate import Context, TerminalError
from restate.handler import handler_from_callable

from holiday import logs
from holiday.models import Booking, Compensation

Message = TypeVar("Message", bound=Booking)
Handler = Callable[[Any, Message], Awaitable[None]]
Compensate = Callable[[Any, Compensation], Awaitable[None]]


@dataclass(frozen=True)
class Failure:
    """Why a trip was not booked: the step that failed, a reason to branch on, and the cause in words."""

    trip_id: str
    step: str
    reason: str
    cause: str

    def error(self, status: int, message: str, undoing: str = "") -> TerminalError:
        """What the caller gets: the message, and as metadata this failure and which compensations were sent."""
        return TerminalError(message, status, {**vars(self), "undoing": undoing})


class Saga:
    """The steps of one trip. Each step and each compensation is a handler of an object that is keyed by the trip id."""

    def __init__(self, ctx: Context, trip_id: str) -> None:
        self._ctx = ctx
        self._trip_id = trip_id
        self._step = "start"
        self._compensations: list[tuple[Compensate, Compensation]] = []
        logs.about.set(trip_id)

    def begin(self, step: str) -> None:
        """Say, in the log and in a failure's answer, which step is under way."""
        self._step = step
        logs.log.info(step)

    async def step(
        self, handler: Handler[Message], booking: Message, *, compensation: Compensate, spare: str = "nothing"
    ) -> None:
        """Ask for a step and wait until it is done. TerminalError if it failed for good or the saga was cancelled.

        The compensation is registered before the step is asked for, so one that is cut off is compensated too.
        spare: until the step is done, its compensation leaves a booking alone that has this status.
        """
        self._compensations.append((compensation, Compensation(booking.id, spare)))
        self.begin(_name(handler))
        await self._ctx.object_call(handler, self._trip_id, booking)
        self._compensations[-1] = (compensation, Compensation(booking.id))

    async def side_by_side(self, *steps: tuple[Handler[Booking], Booking]) -> None:
        """Ask for steps that need nothing of each other, and wait until all have ended.

        TerminalError if one failed for good (the first of them, as written, is reported) or the saga was cancelled
        (then all of them are). What compensates them is registered already.
        """
        calls: dict[str, restate.RestateDurableCallFuture[None]] = {}
        for handler, booking in steps:
            self.begin(_name(handler))
            calls[self._step] = self._ctx.object_call(handler, self._trip_id, booking)
        self._step = ", ".join(calls)
        await restate.gather(*calls.values())
        for self._step, call in calls.items():
            await call

    def failure(self, error: TerminalError) -> Failure:
        """What there is to say of the step that failed. The run's last line in the log gives the reason too."""
        reason, cause = _reason(error)
        logs.reason.set(reason)
        return Failure(self._trip_id, self._step, reason, cause)

    def compensate(self) -> str:
        """Send every compensation, newest first. Returns their names, separated by commas."""
        for handler, compensation in reversed(self._compensations):
            self._ctx.object_send(handler, self._trip_id, compensation)
        return ", ".join(_name(handler) for handler, _ in reversed(self._compensations))


def _name(handler: Callable[[Any, Any], Awaitable[None]]) -> str:
    named = handler_from_callable(handler)
    return f"{named.service_tag.name}.{named.name}"


def _reason(error: TerminalError) -> tuple[str, str]:
    """Only our own errors are quoted: the text of a step that Restate gave up on can hold a stack trace."""
    if error.metadata and "reason" in error.metadata:
        return error.metadata["reason"], error.message
    if error.message == "cancelled":
        return "cancelled", "it was cancelled"
    return "given up", "it kept failing and was given up"
