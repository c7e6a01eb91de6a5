"""Ctrl-C ends `make check` and the tests of `make test` without a traceback and leaves no process."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from localcloud.processes import is_alive
from tests.driver import eventually

ROOT = Path(__file__).parents[2]
# A shell's background job ignores SIGINT, and child processes inherit that.
AS_IN_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)
pytestmark = pytest.mark.slow


def is_node_js(process: psutil.Process) -> bool:
    """Whether this is Node.js itself, not the Python program named node."""
    with suppress(psutil.Error, OSError):
        return Path(process.exe()).name == "node"
    return False


@pytest.mark.parametrize(
    "command",
    [["make", "check"], [sys.executable, "-m", "tests.parallel", "not slow", "tests/stack"]],
    ids=["make check", "make test"],
)
def test_ctrl_c_while_node_js_runs_shows_no_traceback(command: list[str]) -> None:
    # given the command, with Node.js running somewhere below it
    process = subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_TERMINAL, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun = psutil.Process(process.pid)
    assert eventually(lambda: [each for each in begun.children(recursive=True) if is_node_js(each)], bool)
    below = begun.children(recursive=True)

    # when Ctrl-C is pressed, which signals the terminal's whole foreground group
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)

    # then it ends and says so in a few lines
    assert process.returncode != 0
    assert "Traceback" not in said, said
    assert not eventually(lambda: [each for each in below if is_alive(each)], lambda left: not left)
