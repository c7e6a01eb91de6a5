"""Starts the servers of one local cloud as processes, finds them again in later commands, and ends all of them.

They run in a session of their own, with their output in files. Each has the run's id in its environment, which the
emulator's Lambdas inherit: what the state file does not name is found by that.
"""

import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from localcloud.environment import ROOT, LocalCloudError
from localcloud.ports import HOST, Ports, answers
from localcloud.processes import end, is_alive, uninterrupted
from localcloud.state import StateFile

RUN_ID = "LOCALCLOUD_RUN_ID"
START_TIMEOUT = 60.0

# What Restate Cloud and restate-server from 1.8 on have on by default. A cloud's `restate_settings` can switch it off.
VQUEUES_AND_V7 = ("RESTATE_EXPERIMENTAL_ENABLE_VQUEUES", "RESTATE_EXPERIMENTAL_ENABLE_PROTOCOL_V7")
WITHOUT_VQUEUES: dict[str, str] = dict.fromkeys(VQUEUES_AND_V7, "false")

Server = Literal["restate-server", "ministack"]


class Servers:
    """The processes listed in the state file."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self, server: Server, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        """Start a server in this folder and add it to the state file."""
        run = self._state.demand()
        with log.open("ab") as output, uninterrupted():
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**environment, RUN_ID: run.id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children.append(child)
            created = psutil.Process(child.pid).create_time()
            self._state.update(servers=run.servers | {server: (child.pid, created)})

    def find(self, server: str) -> psutil.Process | None:
        """The server's process, or None if it has ended."""
        run = self._state.read()
        pid, created = run.servers.get(server, (0, 0.0)) if run else (0, 0.0)
        self._reap()
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid) if pid else None
            if process and process.create_time() == created and is_alive(process):
                return process
        return None

    def await_health(self, server: Server, urls: Sequence[str], log: Path) -> None:
        """Wait until the server answers at each URL. Raises LocalCloudError if it exits, or does not answer in time."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if not self.find(server):
                raise LocalCloudError(f"{server} exited while it was starting; its log is {log}.")
            if all(answers(url) for url in urls):
                return
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"{server} is running but did not answer within {START_TIMEOUT:.0f} s; its log is {log}."
                )
            time.sleep(0.05)

    def kill(self, server: Server) -> None:
        """SIGKILL a server, if it runs."""
        if process := self.find(server):
            end([process], kill=True)
            self._reap()

    def end_all(self) -> None:
        """End every process of this run."""
        run = self._state.demand()
        end(process for server in run.servers if (process := self.find(server)))
        # What is left: Lambdas of an emulator that was killed, and servers that did not end in time.
        end((process for process in psutil.process_iter() if _run_of(process) == run.id), kill=True)
        self._reap()

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


def health_urls(ports: Ports) -> dict[Server, list[str]]:
    """Where each server answers 200 once it is ready."""
    return {
        "ministack": [f"http://{HOST}:{ports.aws}/_ministack/health"],
        "restate-server": [f"http://{HOST}:{ports.admin}/health", f"http://{HOST}:{ports.ingress}/restate/health"],
    }


def restate_settings(ports: Ports, data: Path) -> dict[str, str]:
    """The variables that restate-server gets to listen there and keep its files in `data`."""
    return {
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ports.ingress}",
        "RESTATE_INGRESS__REQUEST_SIZE_LIMIT": "1MB",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{ports.admin}",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{ports.node}",
        "RESTATE_LISTEN_MODE": "tcp",
        # A process that is stopped at a breakpoint answers no ping, and would be given up for dead after a minute.
        "RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_INTERVAL": "1day",
        "RESTATE_BASE_DIR": str(data),
        "RESTATE_NODE_NAME": "local",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
        "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MB",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FORMAT": "compact",
        "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
        **dict.fromkeys(VQUEUES_AND_V7, "true"),
    }


def restate_server() -> Path:
    """The server's binary, as npm brings it. Raises LocalCloudError if there is none for this machine."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"restate-server-{sys.platform}-{machine}"
    binary = ROOT / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    if not binary.exists():
        raise LocalCloudError(f"No restate-server for this machine ({package}): run `make setup`.")
    return binary


def _run_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error, OSError):
        return process.environ().get(RUN_ID)
    return None
