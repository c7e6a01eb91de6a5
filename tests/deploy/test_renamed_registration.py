"""A registration under another name: to CloudFormation a second one, after which it deletes the first."""

from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from localcloud.environment import LocalCloudError
from tests.deploy.greetings import APP, SERVICE, STACK, written
from tests.deploy.state import addresses, routes

pytestmark = pytest.mark.slow


def test_an_environment_that_is_renamed_keeps_its_services_and_so_it_does_when_that_is_taken_back(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given a registered service
    settings = written(tmp_path / "as it was")
    version = own_cloud.deploy(settings, APP, STACK)["GreeterVersionArn"]
    renamed = {"restateId": "RestateOfTheTeam"}

    # when the environment's construct is renamed, and a resource behind it fails
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(settings | renamed | {"fails": "yes"}, APP, STACK)
    # then Restate still calls the version
    assert routes(own_cloud) == addresses(own_cloud, {version}) == {version}
    assert greeted(own_cloud) == "Hello Ann"

    # and when that goes well, Restate still does
    own_cloud.deploy(settings | renamed, APP, STACK)
    assert routes(own_cloud) == addresses(own_cloud, {version}) == {version}
    assert greeted(own_cloud) == "Hello Ann"

    # and the second registration is one like any other: it follows new code, and goes with the stack
    second = own_cloud.deploy(written(tmp_path / "changed", SERVICE.replace("Hello", "Hi")) | renamed, APP, STACK)
    assert routes(own_cloud) == {second["GreeterVersionArn"]}
    assert greeted(own_cloud) == "Hi Ann"
    own_cloud.destroy(STACK)
    assert addresses(own_cloud, set()) == set()


def greeted(cloud: HolidayCloud) -> str:
    answer = httpx.post(f"{cloud.ingress_url}/greeter/greet", json="Ann", timeout=60, trust_env=False)
    return answer.raise_for_status().json()


def test_an_environment_that_is_renamed_together_with_its_role_is_rolled_back_to_the_role_that_stays(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given a service that is invoked through a role, in two versions, of which Restate may still need the older one
    one, other = {"role": "OneRole"}, {"role": "AnotherRole", "restateId": "RestateOfTheTeam"}
    own_cloud.deploy(written(tmp_path / "first") | one, APP, STACK)
    changed = written(tmp_path / "second", SERVICE.replace("Hello", "Hi"))
    own_cloud.deploy(changed | one, APP, STACK)
    assert len(roles(own_cloud)) == 2

    # when the environment gets another name and another role, and a resource behind it fails
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(changed | other | {"fails": "yes"}, APP, STACK)
    # then both versions are invoked through the role that is left
    assert all("OneRole" in role for role in roles(own_cloud)), roles(own_cloud)
    assert greeted(own_cloud) == "Hi Ann"

    # and when that goes well, through the new one
    own_cloud.deploy(changed | other, APP, STACK)
    assert all("AnotherRole" in role for role in roles(own_cloud)), roles(own_cloud)
    assert greeted(own_cloud) == "Hi Ann"
    own_cloud.destroy(STACK)
    assert addresses(own_cloud, set()) == set()


def roles(cloud: HolidayCloud) -> list[str]:
    """The role through which each deployment is invoked."""
    return [deployment["assume_role_arn"] for deployment in cloud.admin.deployments()]
