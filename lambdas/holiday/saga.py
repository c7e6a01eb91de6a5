"""A saga's bookkeeping: which step is under way, and how to compensate what has been asked for so far.

Nothing here awaits anything but the steps. Compensations are one-way messages: one that is sent can no longer be
interrupted by a cancellation, whereas one that is awaited can be cancelled before it has begun.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import restate
from restate import Context, TerminalError

from holiday import logs
from holiday.failures import Failure
from holiday.handlers import AnyHandler, name_of, service_of
from holiday.messages import Booking, Compensation
from holiday.services import SERVICES

Message = TypeVar("Message", bound=Booking)
Handler = Callable[[Any, Message], Awaitable[None]]
Compensate = Callable[[Any, Compensation], Awaitable[None]]


class Saga:
    """The steps of one trip. Each step and each compensation is a handler of an object that is keyed by the trip id."""

    def __init__(self, ctx: Context, trip_id: str) -> None:
        self._ctx = ctx
        self._trip_id = trip_id
        self._step = "start"
        self._compensations: list[tuple[Compensate, Compensation]] = []
        logs.about.set(trip_id)

    def begin(self, step: AnyHandler) -> None:
        """Say, in the log and in a failure's answer, which step is under way."""
        self._step = name_of(step)
        logs.log.info(self._step)

    async def step(self, handler: Handler[Message], booking: Message, *, compensation: Compensate) -> None:
        """Ask for a step and wait until it is done. TerminalError if it failed for good or the saga was cancelled.

        The compensation is registered before the step is asked for, so one that is cut off is compensated too. Until
        the step is done, it spares a booking that the step cannot have made.
        """
        spare = SERVICES[service_of(handler)].spared
        self._compensations.append((compensation, Compensation(booking.id, spare)))
        self.begin(handler)
        await self._ctx.object_call(handler, self._trip_id, booking)
        self._compensations[-1] = (compensation, Compensation(booking.id))

    async def side_by_side(self, *steps: tuple[Handler[Booking], Booking]) -> None:
        """Ask for steps that need nothing of each other, and wait until all have ended.

        TerminalError if one failed for good (the first of them, as written, is reported) or the saga was cancelled
        (then all of them are). What compensates them is registered already.
        """
        calls: dict[str, restate.RestateDurableCallFuture[None]] = {}
        for handler, booking in steps:
            self.begin(handler)
            calls[self._step] = self._ctx.object_call(handler, self._trip_id, booking)
        self._step = ", ".join(calls)
        await restate.gather(*calls.values())
        for self._step, call in calls.items():
            await call

    def failure(self, error: TerminalError) -> Failure:
        """What there is to say of the step that failed. The run's last line in the log gives the reason too."""
        failure = Failure.of(self._trip_id, self._step, error)
        logs.reason.set(failure.reason)
        return failure

    def compensate(self) -> str:
        """Send every compensation, newest first. Returns their names, separated by commas."""
        for handler, compensation in reversed(self._compensations):
            self._ctx.object_send(handler, self._trip_id, compensation)
        return ", ".join(name_of(handler) for handler, _ in reversed(self._compensations))
