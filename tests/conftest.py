"""What tests share: one started cloud for the whole run, and the stack in it, each made when first asked for.

Both are on free ports and in a directory of pytest's, so the tests run beside a `make up`. A test that stops servers or
destroys the stack takes a cloud of its own from `localcloud.cloud`.
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
# An editor's test runner activates nothing: jsii takes the node, and the tests the tools, that are on PATH.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin"), os.environ["PATH"]]
)
# CDK's JavaScript is unpacked once (200 MB, and seconds), here and where local commands have it, by HOME.
os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"] = str(LOCAL / "home" / ".cache" / "aws" / "jsii" / "package-cache")

FAULTS_SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))
"""What the faults of this run are drawn from. Printed at its start; set it to draw the same ones again."""


def in_both_modes(fixture: str) -> list[Any]:
    """Parameters for a fixture: the names of this one and, slow, of the same one whose Restate has no VQueues and
    speaks protocol v6, as servers before 1.8 do."""
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
    """This process's own environment made hostile, and the server that all of it leads to."""
    hostile_environment = HostileEnvironment()
    for name, value in hostile_variables(hostile_environment, tmp_path).items():
        monkeypatch.setenv(name, value)
    yield hostile_environment
    hostile_environment.server.shutdown()
    hostile_environment.server.server_close()
