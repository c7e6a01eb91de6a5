"""A Restate server is killed while trips are in flight: a single one that restarts, and one node of three."""

import asyncio
import random
from pathlib import Path

import pytest

from localcloud.ports import HOST, Ports
from localcloud.servers import Server
from tests.conftest import FAULTS_SEED
from tests.faults.harness import CloudBehindProxy, Harness
from tests.faults.plans import Plan, draw
from tests.faults.proxy import Proxy


def test_a_killed_restate_server_continues_where_it_was(runner: asyncio.Runner, in_one_process: Harness) -> None:
    pick = random.Random(FAULTS_SEED)
    plan = Plan([draw(pick) for _ in range(40)])

    async def book() -> list[str]:
        booking = asyncio.create_task(in_one_process.run(plan))
        for _ in range(3):
            await asyncio.sleep(pick.uniform(0.2, 1))
            in_one_process.cloud.kill_restate()
            await asyncio.to_thread(in_one_process.cloud.restart_restate)
        return await booking

    assert runner.run(book()) == []


class ThreeNodes(CloudBehindProxy):
    """A cloud whose Restate is a cluster of three nodes. Callers know only the first."""

    OTHERS = ("restate-server-2", "restate-server-3")

    def __init__(self, directory: Path, ports: Ports, proxy: Proxy) -> None:
        super().__init__(directory, ports, proxy)
        self._nodes = {name: Ports.free() for name in self.OTHERS}

    def _spawn(self, server: str) -> None:
        super()._spawn(server)  # pyright: ignore[reportArgumentType]
        if server == "restate-server":
            for other in self.OTHERS:
                super()._spawn(other)  # pyright: ignore[reportArgumentType]

    def _settings(self, server: Server) -> dict[str, str]:
        settings = super()._settings(server)
        if server == "ministack":
            return settings
        ports = self._nodes.get(server, self.ports)
        nodes = [self.ports.node, *(node.node for node in self._nodes.values())]
        return settings | {
            "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ports.ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{ports.admin}",
            "RESTATE_BIND_ADDRESS": f"{HOST}:{ports.node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://{HOST}:{ports.node}",
            "RESTATE_NODE_NAME": server,
            "RESTATE_CLUSTER_NAME": "three",
            "RESTATE_METADATA_CLIENT__ADDRESSES": "[" + ",".join(f'"http://{HOST}:{node}"' for node in nodes) + "]",
            "RESTATE_DEFAULT_REPLICATION": "2",
            "RESTATE_AUTO_PROVISION": str(server == "restate-server").lower(),
        }

    def kill_node(self, node: str) -> None:
        """SIGKILL one of the other nodes. It is not restarted."""
        self._servers.kill(node)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
@pytest.mark.parametrize("lost", ThreeNodes.OTHERS)
def test_a_cluster_of_three_that_loses_a_node_loses_no_trip(runner: asyncio.Runner, tmp_path: Path, lost: str) -> None:
    pick = random.Random(FAULTS_SEED)
    plan = Plan([draw(pick) for _ in range(60)])

    async def book() -> list[str]:
        ports = Ports.free()
        async with Proxy(ports.aws) as proxy:
            with ThreeNodes(tmp_path, ports, proxy) as cloud:
                harness = Harness.in_one_process(cloud, proxy)
                services = harness.serve()
                booking = asyncio.create_task(harness.run(plan))
                await asyncio.sleep(pick.uniform(0.5, 1))
                cloud.kill_node(lost)
                found = await booking
                services.end()
                return found

    assert runner.run(book()) == []
