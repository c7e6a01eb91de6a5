"""Runs the same tests against the services in one process and on Lambda.

In one process, over HTTP/2, an invocation keeps its connection. On Lambda, every await suspends, and the next
invocation replays. Both use the real restate-server (the slow tests also one without VQueues) and the emulator's
DynamoDB, SNS and SQS.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests import one_process
from tests.conftest import in_both_modes
from tests.driver import Holiday


@contextmanager
def served(directory: Path, settings: Mapping[str, str]) -> Generator[Holiday]:
    cloud = HolidayCloud(directory, Ports.free())
    cloud.restate_settings = dict(settings)
    with cloud:
        names = one_process.create_resources(cloud)
        services = one_process.services(cloud, names)
        try:
            assert services.start()
            cloud.admin.register({"uri": services.url})
            yield Holiday(cloud, names)
        finally:
            services.stop()


@pytest.fixture(scope="session")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[Holiday]:
    with served(tmp_path_factory.mktemp("one-process"), {}) as holiday:
        yield holiday


@pytest.fixture(scope="session")
def in_one_process_without_vqueues(tmp_path_factory: pytest.TempPathFactory) -> Generator[Holiday]:
    with served(tmp_path_factory.mktemp("one-process-without"), WITHOUT_VQUEUES) as holiday:
        yield holiday


@pytest.fixture(params=[*in_both_modes("in_one_process"), *in_both_modes("on_lambda")])
def holiday(request: pytest.FixtureRequest) -> Holiday:
    return request.getfixturevalue(request.param)
