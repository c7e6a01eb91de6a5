"""A saga's bookkeeping: which step is under way, and how to undo what has been asked for so far.

Nothing here awaits anything but the steps. Undoing sends one-way messages: an undo that is sent can no longer be
interrupted by a cancellation, whereas one that is awaited can be cancelled before it has begun.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from restate import Context, TerminalError
from restate.handler import handler_from_callable

from holiday import logs

Message = TypeVar("Message")


class Saga:
    """The steps of one trip. Each step and each undo is a handler of an object that is keyed by the trip id."""

    def __init__(self, ctx: Context, trip_id: str) -> None:
        self._ctx = ctx
        self._trip_id = trip_id
        self._step = "start"
        self._compensations: list[tuple[str, Callable[[], object]]] = []
        logs.about.set(trip_id)

    def undo_with(self, handler: Callable[[Any, Message], Awaitable[None]], message: Message) -> None:
        """Note how the next step is undone, before it is asked for: a step cut off in the middle is undone too."""
        send = partial(self._ctx.object_send, handler, self._trip_id, message)
        self._compensations.append((_name(handler), send))

    def begin(self, step: str) -> None:
        """Say, in the log and in a failure's answer, which step is under way."""
        self._step = step
        logs.log.info(step)

    async def step(self, handler: Callable[[Any, Message], Awaitable[None]], message: Message) -> None:
        """Ask for a step and wait until it is done. TerminalError if it failed for good or the saga was cancelled."""
        self.begin(_name(handler))
        await self._ctx.object_call(handler, self._trip_id, message)

    def undo(self, error: TerminalError) -> dict[str, str]:
        """Send every undo, newest first. Returns what a client can read: trip_id, step, reason, cause and undoing."""
        for _, send in reversed(self._compensations):
            send()
        reason, cause = _reason(error)
        undoing = ", ".join(name for name, _ in reversed(self._compensations))
        return {"trip_id": self._trip_id, "step": self._step, "reason": reason, "cause": cause, "undoing": undoing}


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
