"""One JSON object per line, silent on replay, the same on Lambda, in the emulator and in a terminal.

Each line names its trip, invocation, service and handler. The trip id is the only caller's text in it.
"""

import json
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

import restate
from restate import TerminalError
from restate.server_context import ServerInvocationContext, current_context, restate_context_is_replaying

log = restate.getLogger("holiday")  # pyright: ignore[reportUnknownMemberType]
about: ContextVar[str] = ContextVar("about", default="")
"""The trip id, for handlers of `trips`. For the other services it is the object's key."""
reason: ContextVar[str | None] = ContextVar("reason", default=None)
"""Why a run that succeeded booked nothing: the trip was booked before."""


def running(step: str) -> None:
    """Log that a step is called. On replay no line is made: after each step, the SDK would drop all earlier ones."""
    if not restate_context_is_replaying.get():
        log.info(step)


@asynccontextmanager
async def outcome() -> AsyncGenerator[None]:
    """Around every handler: logs how its run ended. A suspension is not an end, and not an Exception."""
    try:
        yield
    except TerminalError as error:
        log.info("refused", extra={"reason": (error.metadata or {}).get("reason", error.message)})
        raise
    except Exception as error:
        log.warning("failed", extra={"reason": repr(error)})
        raise
    log.info("done", extra={"reason": reason.get()})


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        context = current_context()
        if isinstance(context, ServerInvocationContext):
            line["service"] = context.handler.service_tag.name
            line["handler"] = context.handler.name
            line["trip_id"] = context.key() or about.get()
            line["invocation_id"] = context.invocation.invocation_id
        if why := getattr(record, "reason", None):
            line["reason"] = why
        return json.dumps(line)


_lines = logging.StreamHandler(sys.stdout)
_lines.setFormatter(JsonLines())
log.addHandler(_lines)
log.setLevel(logging.INFO)
log.propagate = False
