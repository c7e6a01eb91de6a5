"""`python -m holiday.local`: the services of a laptop, which ask nobody who they are."""

import subprocess
import sys
from pathlib import Path

import psutil

from holiday.local import REQUIRED
from localcloud.environment import ROOT, local_environment
from localcloud.ports import Ports, answers
from tests.driver import eventually


def test_they_listen_on_the_loopback_interface_only(tmp_path: Path) -> None:
    port = Ports.free().ingress
    environment = local_environment("http://127.0.0.1:9", tmp_path) | dict.fromkeys(REQUIRED, "unused")
    command = [sys.executable, "-m", "holiday.local", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT / "lambdas", env=environment) as process:
        try:
            assert eventually(lambda: answers(f"http://127.0.0.1:{port}/health"), bool)
            sockets = psutil.Process(process.pid).net_connections("inet")
        finally:
            process.terminate()

    assert {socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN} == {("127.0.0.1", port)}
