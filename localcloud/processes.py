"""Starting and ending processes so that an interruption at any moment leaves none behind."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

HOST = "127.0.0.1"
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_TIMEOUT = 10.0


@contextmanager
def uninterrupted() -> Generator[None]:
    """Put Ctrl-C and the like off until the block is done, so that what it starts or ends is known afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only.
        return
    pending: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        pending.append(signum)

    handlers = {signum: signal.signal(signum, note) for signum in INTERRUPTIONS}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    for signum in pending:
        signal.raise_signal(signum)


def end(processes: Iterable[psutil.Process], hard: bool = False) -> None:
    """Ask these processes to end, or with `hard` kill them, and wait a bounded time until they have."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill() if hard else process.terminate()
    deadline = time.monotonic() + END_TIMEOUT
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all that it started in there."""
    with uninterrupted(), suppress(ProcessLookupError, PermissionError):
        for stop in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(leader.pid, stop)
            deadline = time.monotonic() + END_TIMEOUT
            while time.monotonic() < deadline:
                leader.poll()
                os.killpg(leader.pid, 0)
                time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Whether this very process, not a later one with its id, still runs or holds its ports.

    A zombie does not, once its other threads have ended too: until then, what they share is open.
    """
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    return False


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of the loopback interface."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def holder(port: int) -> str:
    """Who listens on this port, as far as the system lets us know."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another process"


def at_end(here: tuple[str, int], there: tuple[str, int]) -> psutil.Process:
    """The process at the end `here` of a connection; `there` is its other end. One port may be in several connections.

    Raises LookupError if there is none.
    """
    for connection in psutil.net_connections("tcp"):
        if connection.pid and (connection.laddr, connection.raddr) == (here, there):
            return psutil.Process(connection.pid)
    raise LookupError(f"Nobody is connected from {here} to {there}.")
