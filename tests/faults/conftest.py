"""Harnesses with the services in one process or on Lambda, each with a cloud of its own behind a proxy.

The slow tests also have both with a restate-server without VQueues.
"""

import asyncio
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.conftest import in_both_modes
from tests.faults.harness import CloudBehindProxy, Harness, Scene
from tests.faults.proxy import Proxy


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of the proxies and harnesses."""
    with asyncio.Runner() as started:
        yield started


@contextmanager
def proxied(
    runner: asyncio.Runner, directory: Path, settings: Mapping[str, str], *, auth: bool = False
) -> Generator[CloudBehindProxy]:
    ports = Ports.free()
    proxy = runner.run(Proxy(ports.aws).__aenter__())
    cloud = CloudBehindProxy(directory, ports, proxy, auth)
    cloud.restate_settings |= settings
    with cloud:
        yield cloud
    runner.run(proxy.__aexit__())


@contextmanager
def one_process(
    runner: asyncio.Runner, directory: Path, settings: Mapping[str, str] | None = None, *, as_lambda: bool = False
) -> Generator[Harness]:
    with proxied(runner, directory, settings or {}) as cloud:
        harness = Harness.in_one_process(cloud, cloud.proxy)
        services = harness.serve(as_lambda=as_lambda)
        yield harness
        services.end()


@contextmanager
def deployed(runner: asyncio.Runner, directory: Path, settings: Mapping[str, str] | None = None) -> Generator[Harness]:
    with proxied(runner, directory, settings or {}) as cloud:
        yield Harness(cloud, runner.run(asyncio.to_thread(cloud.deploy)), cloud.proxy)


@pytest.fixture(scope="session")
def in_one_process(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with one_process(runner, tmp_path_factory.mktemp("faults")) as harness:
        yield harness


@pytest.fixture(scope="session")
def on_lambda(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with deployed(runner, tmp_path_factory.mktemp("faults-on-lambda")) as harness:
        yield harness


@pytest.fixture(scope="session")
def in_one_process_without_vqueues(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    with one_process(runner, tmp_path_factory.mktemp("faults-without"), WITHOUT_VQUEUES) as harness:
        yield harness


@pytest.fixture(scope="session")
def on_lambda_without_vqueues(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with deployed(runner, tmp_path_factory.mktemp("faults-on-lambda-without"), WITHOUT_VQUEUES) as harness:
        yield harness


@pytest.fixture(params=in_both_modes("in_one_process"))
def in_one_process_either_way(request: pytest.FixtureRequest) -> Harness:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=in_both_modes("on_lambda"))
def on_lambda_either_way(request: pytest.FixtureRequest) -> Harness:
    return request.getfixturevalue(request.param)


@pytest.fixture
def play(
    runner: asyncio.Runner, in_one_process_either_way: Harness, request: pytest.FixtureRequest
) -> Callable[[Scene], None]:
    """Plays a scene with its own trip ids and no faults but its own."""

    def run(scene: Scene) -> None:
        in_one_process_either_way.play({})
        run_id = f"{request.function.__name__[5:45]}-{uuid.uuid4().hex[:8]}-"
        runner.run(scene(in_one_process_either_way, run_id))

    return run
