"""A saga's bookkeeping: which step is running, and how to compensate the steps called so far.

Only steps are awaited. Compensations are one-way messages: once sent, a cancellation cannot stop one, whereas a call
that is awaited can be cancelled before it begins.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import restate
from restate import Context, TerminalError

from holiday import logs
from holiday.failures import Failure
from holiday.handler_info import AnyHandler, name_of, service_of
from holiday.messages import Booking, Compensation
from holiday.services import SERVICES

Message = TypeVar("Message", bound=Booking)
Handler = Callable[[Any, Message], Awaitable[None]]
Compensate = Callable[[Any, Compensation], Awaitable[None]]


class Saga:
    """The steps of one trip. Steps and compensations are handlers of objects keyed by the trip id.

    Args:
        ctx: the context of the handler that runs the saga.
        trip_id: the key of every object that is called.
    """

    def __init__(self, ctx: Context, trip_id: str) -> None:
        self._ctx = ctx
        self._trip_id = trip_id
        self._step = "start"
        self._compensations: list[tuple[Compensate, Compensation]] = []
        logs.about.set(trip_id)

    def begin(self, step: AnyHandler) -> None:
        """Name the running step, in the log and in the error if it fails."""
        self._step = name_of(step)
        logs.running(self._step)

    async def step(self, handler: Handler[Message], booking: Message, *, compensation: Compensate) -> None:
        """Call a step and wait for it.

        The compensation is registered before the step is called, so an interrupted step is compensated too. Until the
        step is done, the compensation spares a booking that the step cannot have made.

        Args:
            handler: the step.
            booking: its message.
            compensation: the handler, of the same service, that compensates it.

        Raises:
            TerminalError: the step failed for good, or the saga was cancelled.
        """
        spare = SERVICES[service_of(handler)].spared
        self._compensations.append((compensation, Compensation(booking.id, spare)))
        self.begin(handler)
        await self._ctx.object_call(handler, self._trip_id, booking)
        self._compensations[-1] = (compensation, Compensation(booking.id))

    async def side_by_side(self, *steps: tuple[Handler[Booking], Booking]) -> None:
        """Call independent steps and wait until all have ended. Their compensations must be registered already.

        Raises:
            TerminalError: a step failed for good (the first in the order of `steps` is reported), or the saga was
                cancelled, and with it all of the steps.
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
        """Describe the failed step. The reason also ends up in the run's last log line."""
        failure = Failure.of(self._trip_id, self._step, error)
        logs.reason.set(failure.reason)
        return failure

    def compensate(self) -> str:
        """Send every compensation, newest first.

        Returns:
            The names of the handlers, separated by commas.
        """
        for handler, compensation in reversed(self._compensations):
            self._ctx.object_send(handler, self._trip_id, compensation)
        return ", ".join(name_of(handler) for handler, _ in reversed(self._compensations))
