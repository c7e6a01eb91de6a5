"""Shared fixtures: one cloud for the whole run and the stack in it, each started when first used.

The cloud uses free ports and pytest's own directory, so the tests can run beside `make up`. A test that stops servers
or destroys the stack starts its own cloud.
"""

import os
import random
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.cloud import HolidayCloud
from localcloud.environment import LOCAL
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.driver import Holiday
from tests.hostile_environment import HostileEnvironment, hostile_variables

ROOT = Path(__file__).parents[1]
# jsii and the tests find node and other tools on PATH. An editor's test runner does not activate the environment.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]]
)
# Unpack CDK's JavaScript (200 MB) only once, to where local commands unpack it too.
os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"] = str(LOCAL / "home" / ".cache" / "aws" / "jsii" / "package-cache")

FAULTS_SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))
"""The random seed of this run's faults. It is printed at the start; set it to draw the same faults again."""


def in_both_modes(fixture: str) -> list[Any]:
    """Fixture parameters: this fixture and, as a slow test, its variant without VQueues.

    In that variant Restate speaks protocol v6, as servers before 1.8 do.
    """
    return [fixture, pytest.param(f"{fixture}_without_vqueues", marks=pytest.mark.slow)]


def pytest_report_header() -> str:
    return f"faults: FAULTS_SEED={FAULTS_SEED}"


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    """A running local cloud, empty at first."""
    with HolidayCloud(tmp_path_factory.mktemp("cloud"), Ports.free()) as started:
        yield started


@pytest.fixture(scope="session")
def stack(cloud: HolidayCloud) -> dict[str, str]:
    """The outputs of the stack, deployed into `cloud`."""
    return cloud.deploy()


@pytest.fixture(scope="session")
def on_lambda(cloud: HolidayCloud, stack: dict[str, str]) -> Holiday:
    return Holiday(cloud, stack)


@pytest.fixture(scope="session")
def on_lambda_without_vqueues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holiday]:
    cloud = HolidayCloud(tmp_path_factory.mktemp("without-vqueues"), Ports.free())
    cloud.restate_settings = dict(WITHOUT_VQUEUES)
    with cloud:
        yield Holiday(cloud, cloud.deploy())


@pytest.fixture
def trip_id() -> str:
    return f"trip-{uuid.uuid4()}"


@pytest.fixture
def hostile_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileEnvironment]:
    """Makes this process's environment hostile. Returns the server that everything in it points to."""
    hostile_environment = HostileEnvironment()
    for name, value in hostile_variables(hostile_environment, tmp_path).items():
        monkeypatch.setenv(name, value)
    yield hostile_environment
    hostile_environment.server.shutdown()
    hostile_environment.server.server_close()
