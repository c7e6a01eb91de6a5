"""`python -m holiday.local` serves without authentication, so only to this machine."""

from pathlib import Path

import psutil

from holiday.local import REQUIRED
from localcloud.environment import ROOT, local_environment
from localcloud.ports import Ports
from localcloud.services import Services


def test_they_listen_on_the_loopback_interface_only(tmp_path: Path) -> None:
    port = Ports.free().ingress
    environment = local_environment("http://127.0.0.1:9", tmp_path) | dict.fromkeys(REQUIRED, "unused")
    services = Services("holiday.local", ROOT / "lambdas", port, environment)
    try:
        assert services.start()
        [process] = [child for child in psutil.Process().children() if str(port) in child.cmdline()]
        sockets = process.net_connections("inet")
    finally:
        services.stop()

    assert {socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN} == {("127.0.0.1", port)}
