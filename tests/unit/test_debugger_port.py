"""The port of `make serve DEBUG=1`, between an editor and a process that debugpy runs."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from localcloud.debugger import DebuggerPort
from localcloud.ports import Ports
from localcloud.processes import end_group
from tests.deploy.debug_client import Editor


@pytest.fixture
def port() -> Iterator[DebuggerPort]:
    with DebuggerPort(Ports.free().ingress) as port:
        yield port


@pytest.fixture
def process(port: DebuggerPort) -> Iterator[subprocess.Popen[bytes]]:
    """A process under debugpy that does nothing."""
    command = [sys.executable, *port.for_process(), "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    yield process
    end_group(process, kill=True)


@pytest.mark.usefixtures("process")
def test_an_editor_that_disconnects_is_not_asked_to_attach_again(port: DebuggerPort) -> None:
    with Editor(port.port, {}) as editor:
        editor.request("disconnect", terminateDebuggee=False)

        assert editor.event("terminated") == {}
