"""A cloud for this folder's tests, and the stack that each of them deploys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.deploy.authenticating_proxy import KEY, OTHER_KEY, AuthenticatingProxy, guarding
from tests.deploy.greeter import (
    Greetings,
    clear,
)
from tests.deploy.state import addresses


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests marked `in_both_modes`, which query unfinished work, with and without VQueues."""
    if "own_cloud" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("in_both_modes")
        modes: dict[str, dict[str, str]] = {"with VQueues": {}} | ({"without": WITHOUT_VQUEUES} if both else {})
        metafunc.parametrize("own_cloud", [*modes.values()], ids=[*modes], indirect=True, scope="module")


@pytest.fixture(scope="module")
def own_cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    """Replaces the fixture of the same name: a cloud with or without VQueues."""
    cloud = HolidayCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free())
    cloud.restate_settings = dict(request.param)
    with cloud:
        yield cloud


@pytest.fixture
def greetings(own_cloud: HolidayCloud, tmp_path: Path) -> Greetings:
    """The stack may exist already, from the previous test, so each test begins with a deploy."""
    return Greetings(own_cloud, tmp_path)


@pytest.fixture
def authenticating_proxy(own_cloud: HolidayCloud, secret: str, new_secret: str) -> Iterator[AuthenticatingProxy]:
    """In front of a Restate without registrations, before and after the test."""
    assert {secret, new_secret}, "created first, so deleted after the stack"
    clear(own_cloud)
    with guarding(own_cloud.admin_url, KEY) as authenticating_proxy:
        yield authenticating_proxy
        clear(own_cloud)
    assert addresses(own_cloud, set()) == set()


@pytest.fixture
def secret(own_cloud: LocalCloud) -> Iterator[str]:
    """The ARN of a secret with the key."""
    yield from kept(own_cloud, KEY)


@pytest.fixture
def new_secret(own_cloud: LocalCloud) -> Iterator[str]:
    """The ARN of another secret with another key."""
    yield from kept(own_cloud, OTHER_KEY)


def kept(cloud: LocalCloud, key: str) -> Iterator[str]:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name=f"restate/{key[:5]}", SecretString=key)["ARN"]
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
