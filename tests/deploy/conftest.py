"""The deployed holiday, and clouds for modules that destroy stacks, kill servers or leave deployments behind."""

from collections.abc import Iterator

import pytest

from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.ports import Ports
from tests.conftest import in_both_modes
from tests.driver import Holiday


@pytest.fixture(params=in_both_modes("on_lambda"))
def holiday(request: pytest.FixtureRequest) -> Holiday:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    with HolidayCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free()) as started:
        yield started


@pytest.fixture(scope="module")
def elsewhere(own_cloud: HolidayCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A second Restate, which invokes the Lambdas of `own_cloud`."""
    other = LocalCloud(tmp_path_factory.mktemp("elsewhere"), Ports.free())
    other.restate_settings = {"AWS_ENDPOINT_URL": own_cloud.aws_url}
    with other as started:
        yield started
