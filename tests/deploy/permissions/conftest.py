"""For each module, a stack for Restate Cloud in an emulator that enforces IAM."""

from collections.abc import Iterator

import pytest

from demo.cloud import HolidayCloud
from localcloud.ports import Ports
from tests.deploy.restate_cloud import (
    Deployed,
    deployed_for_restate_cloud,
)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with (
        HolidayCloud(tmp_path_factory.mktemp("auth"), Ports.free(), auth=True) as cloud,
        deployed_for_restate_cloud(cloud) as deployed,
    ):
        yield deployed
