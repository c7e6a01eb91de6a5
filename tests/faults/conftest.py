"""Two harnesses, each with a cloud of its own behind a proxy: the services in one process, and on Lambda."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from localcloud.cloud import Ports
from tests.faults.harness import CloudBehindProxy, Harness, Scene
from tests.faults.proxy import Proxy


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop in which the proxies and the harnesses live."""
    with asyncio.Runner() as started:
        yield started


@pytest.fixture(scope="session")
def in_one_process(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    ports = Ports.free()
    proxy = runner.run(Proxy(ports.aws).__aenter__())
    with CloudBehindProxy(tmp_path_factory.mktemp("faults"), ports, proxy) as cloud:
        harness = Harness.in_one_process(cloud, proxy)
        services = harness.serve()
        yield harness
        services.stop()
    runner.run(proxy.__aexit__())


@pytest.fixture(scope="session")
def on_lambda(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    ports = Ports.free()
    proxy = runner.run(Proxy(ports.aws).__aenter__())
    with CloudBehindProxy(tmp_path_factory.mktemp("faults-on-lambda"), ports, proxy) as cloud:
        yield Harness(cloud, runner.run(asyncio.to_thread(cloud.deploy)), proxy)
    runner.run(proxy.__aexit__())


@pytest.fixture
def play(runner: asyncio.Runner, in_one_process: Harness, request: pytest.FixtureRequest) -> Callable[[Scene], None]:
    """Play a scene with a trip id of its own and no faults but those that it asks for."""

    def run(scene: Scene) -> None:
        in_one_process.play({})
        runner.run(scene(in_one_process, f"{request.node.name[5:]}-"))

    return run
