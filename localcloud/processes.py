"""Starts and ends processes so that an interruption at any moment leaves none behind."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_TIMEOUT = 10.0


@contextmanager
def uninterrupted() -> Generator[None]:
    """Delay Ctrl-C and similar signals until the block is done, so that it leaves no process half started or ended."""
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


def end(processes: Iterable[psutil.Process], kill: bool = False) -> None:
    """Terminate these processes, or kill them with `kill`, and wait a bounded time for their end."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill() if kill else process.terminate()
    deadline = time.monotonic() + END_TIMEOUT
    while any(is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def end_group(leader: subprocess.Popen[bytes], kill: bool = False) -> None:
    """End a process that leads a group, and the whole group; with `kill`, without terminating it first."""
    with uninterrupted(), suppress(ProcessLookupError, PermissionError):
        for stop in (signal.SIGKILL,) if kill else (signal.SIGTERM, signal.SIGKILL):
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
