"""The ports of a local cloud: the well-known ones or free ones, always on 127.0.0.1."""

import random
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self

import httpx
import psutil

from localcloud.environment import LocalCloudError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The ports of a local cloud.

    Attributes:
        ingress: Where Restate is called.
        admin: Restate's admin API.
        node: Where Restate's nodes reach each other.
        aws: The emulator.
    """

    ingress: int
    admin: int
    node: int
    aws: int

    @classmethod
    def default(cls) -> Self:
        """The ports that Restate's and the emulator's documentation use."""
        return cls(ingress=8080, admin=9070, node=5122, aws=4566)

    @classmethod
    def free(cls) -> Self:
        """Four unused ports, below the range that the system uses for outgoing connections."""
        found: set[int] = set()
        while len(found) < 4:
            port = random.randint(20000, 32000)
            if is_free(port):
                found.add(port)
        return cls(*found)


def is_free(port: int) -> bool:
    """Whether no process listens on this port of the loopback interface."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def refuse_taken(ports: Ports) -> None:
    """Check that no other process has a port of this cloud.

    Raises:
        LocalCloudError: One has; the message says which process and which port.
    """
    for name, port in asdict(ports).items():
        if not is_free(port):
            raise LocalCloudError(
                f"Port {port} (the local cloud's {name} port) is in use by {holder(port)}: "
                "end that first (`make down`, if it is another checkout's cloud); nothing was started."
            )


def answers(url: str) -> bool:
    """Whether this address answers 200 now."""
    with suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    return False


def holder(port: int) -> str:
    """The process that listens on this port, as far as the system reveals it."""
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
    raise LookupError(f"No process has a connection from {here} to {there}.")
