"""`make stuck STUCK=--elsewhere`, typed at a terminal: a Restate behind an authenticating proxy, with its API key.

All output of the terminal is read, so a key in it would be found.
"""

import os
import select
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from demo.reservations import UNFINISHED_WITH_TRIP, trip_of
from localcloud.environment import ROOT
from localcloud.invocations import unfinished
from tests.deploy.authenticating_proxy import AuthenticatingProxy, guarding
from tests.deploy.blocked_trips import without_table
from tests.driver import TIMEOUT, Holiday, eventually

KEY, OTHER_KEY = "key_right-1234", "key_wrong-5678"
URL, API_KEY = "Admin API", "API key"
"""How each prompt begins."""
# A shell's background job ignores SIGINT, and child processes inherit that.
IN_A_TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
COMMAND = [sys.executable, "-m", "demo.stuck", "--elsewhere"]


@pytest.fixture
def authenticating_proxy(on_lambda: Holiday) -> Iterator[AuthenticatingProxy]:
    with guarding(on_lambda.cloud.admin_url, KEY) as authenticating_proxy:
        yield authenticating_proxy


class Terminal:
    """A terminal that runs the command."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.shown = ""

    def type(self, prompt: str, keys: str) -> None:
        """Wait for a prompt, and type."""
        assert self._process.stdin and self._process.stdout
        while not self.shown.rpartition("\n")[2].startswith(prompt) or not self.shown.endswith(": "):
            assert self._read(), self.shown
        self._process.stdin.write(keys.encode())
        self._process.stdin.flush()

    def ends(self) -> int:
        """Read all output. Returns the exit status."""
        while self._read():
            pass
        return self._process.wait()

    def _read(self) -> bool:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT)
        assert ready, f"Nothing more is shown after: {self.shown}"
        read = os.read(self._process.stdout.fileno(), 4096)
        self.shown += read.decode(errors="replace")
        return bool(read)


@contextmanager
def terminal() -> Generator[Terminal]:
    command = [sys.executable, "-c", IN_A_TERMINAL, *COMMAND]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Terminal(process)
        finally:
            process.kill()


def test_the_right_key_lists_what_is_stuck_and_is_never_shown(
    on_lambda: Holiday, authenticating_proxy: AuthenticatingProxy
) -> None:
    on_lambda.settle()
    with terminal() as at:
        at.type(URL, f"{authenticating_proxy.url}/\n")
        at.type(API_KEY, f"{KEY}\n")

        assert at.ends() == 0

    assert "Nothing is stuck." in at.shown
    assert (authenticating_proxy.asked, authenticating_proxy.refused) == (["POST /query"], 0)
    assert KEY not in at.shown


@pytest.mark.parametrize(
    ("key", "said"), [(OTHER_KEY, "rejected the API key (401)"), ("", "requires an API key (401)")]
)
def test_a_wrong_or_missing_key_is_reported_in_one_sentence(
    authenticating_proxy: AuthenticatingProxy, key: str, said: str
) -> None:
    with terminal() as at:
        at.type(URL, f"{authenticating_proxy.url}\n")
        at.type(API_KEY, f"{key}\n")

        assert at.ends() == 1

    last = at.shown.strip().splitlines()[-1]
    assert last.startswith(f"✗ {authenticating_proxy.url} {said}")
    assert "Traceback" not in at.shown and OTHER_KEY not in at.shown and "make up" not in at.shown


def test_a_wrong_url_is_reported_in_one_sentence_and_the_key_is_not_sent(
    authenticating_proxy: AuthenticatingProxy,
) -> None:
    with terminal() as at:
        at.type(URL, "http://restate.example.com:9070\n")
        at.type(API_KEY, f"{KEY}\n")

        assert at.ends() == 1

    assert "is plain HTTP, over which a key can be read" in at.shown
    assert KEY not in at.shown and authenticating_proxy.asked == []


@pytest.mark.parametrize("prompt", [URL, API_KEY])
def test_ctrl_c_ends_it_without_a_traceback(authenticating_proxy: AuthenticatingProxy, prompt: str) -> None:
    with terminal() as at:
        if prompt == API_KEY:
            at.type(URL, f"{authenticating_proxy.url}\n")
        at.type(prompt, "\x03")

        assert at.ends() == 130

    assert "Traceback" not in at.shown and authenticating_proxy.asked == []


def test_without_a_terminal_it_asks_for_no_key(authenticating_proxy: AuthenticatingProxy) -> None:
    piped = f"{authenticating_proxy.url}\n{KEY}\n"

    done = subprocess.run(
        COMMAND, check=False, cwd=ROOT, input=piped, capture_output=True, text=True, start_new_session=True
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "✗ --elsewhere reads a URL and an API key from a terminal, and the input is not one.\n"
    assert authenticating_proxy.asked == []


def test_the_list_has_the_trip_of_an_invocation_without_a_key(holiday: Holiday) -> None:
    # given a trip with a generated id that waits for its payment, and one that begins later
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        generated = holiday.send()
        failing = unfinished("target LIKE 'payments/%/process' AND failures > 0")
        [payment] = eventually(lambda: holiday.query(failing), bool)
        later = holiday.send({"trip_id": "later"}, "1h")

        # when the list's query is run without its status condition, then each is there once, with its trip
        found = [(row["id"], trip_of(row)) for row in holiday.query(UNFINISHED_WITH_TRIP)]
        trip_id = payment["target"].split("/")[1]
        expected = {payment["id"]: trip_id, generated: trip_id, later: "later"}
        assert sorted(found) == sorted(expected.items())
    holiday.cloud.admin.operate("kill", later)
    holiday.cloud.admin.try_again(payment["id"])
    holiday.settle()
