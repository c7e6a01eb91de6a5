"""The files of a local cloud: those of one run, which its end deletes, and logs, which outlive it by another run."""

import fcntl
import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


def prepare(directory: Path) -> None:
    """Make way for a new run. The logs of the last one are kept in `logs-of-the-run-before`."""
    logs, previous = directory / "logs", directory / "logs-of-the-run-before"
    if logs.exists():
        _delete(previous)
        logs.rename(previous)
    logs.mkdir(parents=True)
    _delete(directory / "data")


def clear(directory: Path) -> None:
    """Delete everything of a run but its logs."""
    for data in ("data", "tmp", "cdk.out", "outputs", "cloud.json"):
        _delete(directory / data)


@contextmanager
def locked(directory: Path, step: Callable[[str], AbstractContextManager[object]]) -> Generator[None]:
    """Lock the directory against other processes. If one has it, show a step and wait."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("Waiting for another command on this cloud"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
