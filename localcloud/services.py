"""Restate services in a process of this machine, beside the functions that are deployed."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from localcloud.debugger import DebuggerPort
from localcloud.ports import HOST, answers
from localcloud.processes import end_group, uninterrupted

START_TIMEOUT = 30.0


class Services:
    """The process of `python -m <module> --port <port>`, which serves at `url` and can be started again.

    Args:
        module: What Python runs.
        folder: Where it runs and finds its modules.
        port: The port of 127.0.0.1 that it listens on.
        environment: Its variables, besides PYTHONPATH.
        output: Where it logs. Default: here.
        debugger: Where a debugger can attach to it. Default: nowhere.

    Attributes:
        url (str): Where it serves.
        environment (dict[str, str]): All of its variables.
    """

    def __init__(
        self,
        module: str,
        folder: Path,
        port: int,
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
        debugger: DebuggerPort | None = None,
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self.environment = {**environment, "PYTHONPATH": str(folder)}
        self._command = ["-m", module, "--port", str(port)]
        self._folder = folder
        self._output = output
        self._debugger = debugger
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until it answers; False if it ended instead, having said why on the terminal."""
        debugging = self._debugger.for_process() if self._debugger else []
        self.stop()
        # A session of its own: Ctrl-C reaches the command alone, which ends this after it has deregistered it.
        with uninterrupted():
            self._process = subprocess.Popen(
                [sys.executable, *debugging, *self._command],
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            if answers(f"{self.url}/health"):
                return True
            time.sleep(0.05)
        self.stop()
        return False

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self._process:
            stopped_at_a_breakpoint = self._debugger is not None and not answers(f"{self.url}/health")
            end_group(self._process, kill=stopped_at_a_breakpoint)
        self._process = None
