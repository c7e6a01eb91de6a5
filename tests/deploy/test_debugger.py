"""`make serve DEBUG=1`: a debugger can attach and stop in a step for as long as you need."""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from localcloud.ports import HOST, Ports, is_free
from localcloud.processes import is_alive
from tests.deploy.debug_client import Editor
from tests.deploy.serving import Serving
from tests.deploy.variants import edit, edited
from tests.driver import Holiday, eventually

LONGER_THAN_THE_KEEP_ALIVE = 75.0
RESERVE = "    found = await bookings.look(ctx.key(), flight.id)\n"
BEGIN = "    trip, generated_id = request.request, str(ctx.uuid())\n"


Book = Callable[[str], Future[httpx.Response]]
AN_EDIT = ("class Flight(", "# An edit, as an editor saves it.\n\nclass Flight(")


class Debugged(Serving):
    """`make serve DEBUG=1` on a copy of the sources."""

    def __init__(self, holiday: Holiday, sources: Path) -> None:
        self.sources = sources / "holiday"
        self.debugger = Ports.free().ingress
        super().__init__(holiday.cloud, sources, self.debugger)

    def attach(self, *lines: str) -> Editor:
        """Attach with a breakpoint at each of these lines."""
        return Editor(self.debugger, dict(self.find(line) for line in lines))

    def find(self, line: str) -> tuple[Path, int]:
        """The file and the number of this line."""
        [found] = [
            (path, number)
            for path in self.sources.glob("*.py")
            for number, text in enumerate(path.read_text().splitlines(keepends=True), 1)
            if text == line
        ]
        return found

    def stopped(self, editor: Editor, line: str) -> None:
        """Wait until the code stops at this line."""
        path, number = self.find(line)
        assert editor.stopped() == (path.name, number)

    def processes(self) -> list[psutil.Process]:
        """The processes of the services and the debugger, which have the sources on their path."""
        environment = {"PYTHONPATH": str(self.sources.parent)}
        return [
            process
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).items() >= environment.items()
        ]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return edited(tmp_path / "lambdas", {})


@pytest.fixture
def debugged(on_lambda: Holiday, sources: Path) -> Iterator[Debugged]:
    debugged = Debugged(on_lambda, sources)
    yield debugged
    debugged.stop()


@pytest.fixture
def book(on_lambda: Holiday) -> Iterator[Book]:
    """A function that starts to book a trip with this id."""
    url = f"{on_lambda.cloud.ingress_url}/trips/reserve"
    with ThreadPoolExecutor() as callers:
        yield lambda trip_id: callers.submit(
            httpx.post, url, json={"request": {"trip_id": trip_id}}, trust_env=False, timeout=300
        )


def failed_attempts(holiday: Holiday, trip_id: str) -> list[dict[str, Any]]:
    """The failed attempts of the trip and of all its steps."""
    return holiday.query(
        "SELECT i.target, e.event_json FROM sys_journal_events e JOIN sys_invocation i ON i.id = e.id "
        f"WHERE e.event_type = 'TransientError' AND (i.target_service_key = '{trip_id}' OR i.id IN "
        f"(SELECT invoked_by_id FROM sys_invocation WHERE target_service_key = '{trip_id}'))"
    )


@pytest.mark.slow
def test_a_step_that_stops_for_more_than_a_minute_continues_in_the_same_attempt(
    on_lambda: Holiday, debugged: Debugged, book: Book
) -> None:
    # given a trip that has stopped in the debugger, first at its beginning and then in its first step
    trip_id = f"debugged-{uuid.uuid4()}"
    with debugged.attach(BEGIN, RESERVE) as editor:
        booking = book(trip_id)
        debugged.stopped(editor, BEGIN)
        editor.resume()
        debugged.stopped(editor, RESERVE)

        # when it is resumed after more than a minute
        time.sleep(LONGER_THAN_THE_KEEP_ALIVE)
        editor.resume()

        # then the trip is booked, and neither it nor any of its steps took a second attempt
        assert eventually(lambda: booking.done() or editor.has_stopped(), bool)
        assert not editor.has_stopped(), "in another attempt"
        assert booking.result().status_code == 200
        on_lambda.settle()
        assert failed_attempts(on_lambda, trip_id) == []
    assert on_lambda.statuses(trip_id)["Flights"] == ["confirmed"]


@pytest.mark.slow
def test_a_debugger_attaches_again_after_a_reload_and_stops_in_the_new_code(debugged: Debugged, book: Book) -> None:
    trip_id = f"debugged-{uuid.uuid4()}"
    with debugged.attach(RESERVE) as editor:
        # given a trip that has stopped in the debugger
        booking = book(trip_id)
        debugged.stopped(editor, RESERVE)

        # when a file is saved, then the editor is told to attach again and does so at once
        edit(debugged.sources / "flights.py", AN_EDIT)
        assert editor.event("terminated") == {"restart": True}
    with debugged.attach(RESERVE) as editor:
        # and the step is retried on the new code and stops there
        debugged.stopped(editor, RESERVE)
        assert "flights.py changed: reloaded." in debugged.said()
        editor.resume()
        assert booking.result().status_code == 200


def test_ctrl_c_resumes_a_stopped_step_and_leaves_no_process(debugged: Debugged, book: Book) -> None:
    # given a trip that has stopped in the debugger
    trip_id = f"debugged-{uuid.uuid4()}"
    with debugged.attach(RESERVE) as editor:
        booking = book(trip_id)
        debugged.stopped(editor, RESERVE)
        processes = debugged.processes()
        assert len(processes) == 2, "the services, and debugpy's adapter"

        # when Ctrl-C ends `make serve`
        said = debugged.stop()

        # then the trip is booked and no process is left, although the editor is still connected
        assert booking.result().status_code == 200
        assert "Trips run on Lambda again." in said and "Traceback" not in said
        assert not eventually(lambda: [each for each in processes if is_alive(each)], lambda left: not left)
        assert is_free(debugged.debugger)


@pytest.mark.slow
def test_a_web_page_does_not_reach_the_debugger(debugged: Debugged) -> None:
    """debugpy would read the request's body as a message of its protocol."""
    message = {"seq": 1, "type": "request", "command": "initialize", "arguments": {"adapterID": "a page"}}
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.post(f"http://{HOST}:{debugged.debugger}", json=message, trust_env=False)


def test_a_breakpoint_in_the_code_without_a_debugger_is_skipped_with_a_hint(
    on_lambda: Holiday, sources: Path, book: Book
) -> None:
    edit(sources / "holiday" / "flights.py", (RESERVE, f"    breakpoint()\n{RESERVE}"))
    serving = Serving(on_lambda.cloud, sources)
    try:
        assert book(f"skipped-{uuid.uuid4()}").result().status_code == 200
        assert re.search(r"^breakpoint\(\) skipped in flights.py, line \d+: .*DEBUG=1", serving.said(), re.MULTILINE)
        assert "BdbQuit" not in serving.said()
    finally:
        serving.stop()
