"""Runs `make serve` as a separate process."""

import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil

from demo import serve
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports
from localcloud.processes import end
from tests.driver import eventually

COMMAND = """
import signal
import sys
from pathlib import Path
from demo import serve
from demo.cloud import HolidayCloud
from localcloud.ports import Ports
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
directory, ports, port, lambdas, debugger = sys.argv[1:]
serve.LAMBDAS = Path(lambdas)
cloud = HolidayCloud(Path(directory), Ports(*map(int, ports.split(","))))
serve.run(cloud, lambda line: print(line, flush=True), int(port), int(debugger) or None)
"""


class Serving:
    """`make serve` on a free port.

    lambdas: the sources that it serves. debugger: the port for a debugger; 0: none.
    """

    def __init__(self, cloud: LocalCloud, lambdas: Path = serve.LAMBDAS, debugger: int = 0) -> None:
        self.port = Ports.free().ingress
        self.url = f"http://127.0.0.1:{self.port}"
        ports = ",".join(str(port) for port in asdict(cloud.ports).values())
        self._log = cloud.log(f"serve-{self.port}")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    COMMAND,
                    str(cloud.directory),
                    ports,
                    str(self.port),
                    str(lambdas),
                    str(debugger),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        assert "Serving" in eventually(self.said, lambda said: "Serving" in said)

    def said(self) -> str:
        """The output so far, including the services'."""
        return self._log.read_text()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> str:
        """Press Ctrl-C and wait for the end. Returns the output."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        return self.said()

    def kill(self) -> None:
        """Kill it and its services, as a power cut would."""
        everyone = [*self.children(), psutil.Process(self.process.pid)]
        end(everyone, kill=True)
        self.process.wait()
