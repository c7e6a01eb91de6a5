"""What is logged around a handler, without changing its outcome. tests/saga/test_on_lambda.py tests it on Lambda."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from restate import TerminalError

from holiday import logs
from holiday.logs import outcome

Line = tuple[str, str, str | None]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Line]]:
    """Collects what the services log: level, message, reason."""
    found: list[Line] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.levelname, record.getMessage(), getattr(record, "reason", None)))

    monkeypatch.setattr(logs.log, "handlers", [Collect()])
    yield found


async def run(error: BaseException | None = None) -> None:
    async with outcome():
        if error:
            raise error


def test_a_handler_that_returns_is_logged_as_done(lines: list[Line]) -> None:
    asyncio.run(run())

    assert lines == [("INFO", "done", None)]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TerminalError("no field `Ann`", 400, {"reason": "invalid"}), ("INFO", "refused", "invalid")),
        (TerminalError("cancelled", 409), ("INFO", "refused", "cancelled")),
        (ConnectionError("no route"), ("WARNING", "failed", "ConnectionError('no route')")),
    ],
)
def test_an_error_is_logged_once_and_passed_on_to_restate(lines: list[Line], error: Exception, line: Line) -> None:
    with pytest.raises(type(error)) as raised:
        asyncio.run(run(error))

    assert raised.value is error
    assert lines == [line]


def test_a_suspension_is_passed_on_to_restate_and_not_logged(lines: list[Line]) -> None:
    """The SDK suspends a handler by raising a BaseException."""
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run(asyncio.CancelledError()))

    assert lines == []
