"""A renamed registration: CloudFormation creates a second one and then deletes the first."""

from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from localcloud.environment import LocalCloudError
from tests.deploy.greetings import APP, SERVICE, STACK, written
from tests.deploy.state import addresses, routes

pytestmark = pytest.mark.slow


def test_a_renamed_environment_keeps_its_services_also_when_the_deploy_is_rolled_back(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given a registered service
    settings = written(tmp_path / "as it was")
    version = own_cloud.deploy(settings, APP, STACK)["GreeterVersionArn"]
    renamed = {"restateId": "RestateOfTheTeam"}

    # when the environment's construct is renamed, and a later resource fails
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(settings | renamed | {"fails": "yes"}, APP, STACK)
    # then Restate still calls the version
    assert routes(own_cloud) == addresses(own_cloud, {version}) == {version}
    assert greeted(own_cloud) == "Hello Ann"

    # and when nothing fails, it still does
    own_cloud.deploy(settings | renamed, APP, STACK)
    assert routes(own_cloud) == addresses(own_cloud, {version}) == {version}
    assert greeted(own_cloud) == "Hello Ann"

    # and the second registration is one like any other: new code updates it, and destroy deletes it
    second = own_cloud.deploy(written(tmp_path / "changed", SERVICE.replace("Hello", "Hi")) | renamed, APP, STACK)
    assert routes(own_cloud) == {second["GreeterVersionArn"]}
    assert greeted(own_cloud) == "Hi Ann"
    own_cloud.destroy(STACK)
    assert addresses(own_cloud, set()) == set()


def greeted(cloud: HolidayCloud) -> str:
    answer = httpx.post(f"{cloud.ingress_url}/greeter/greet", json="Ann", timeout=60, trust_env=False)
    return answer.raise_for_status().json()


def test_a_rollback_of_a_renamed_environment_and_role_restores_the_old_role(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given a service that is invoked through a role, in two versions, both of which Restate keeps
    one, other = {"role": "OneRole"}, {"role": "AnotherRole", "restateId": "RestateOfTheTeam"}
    own_cloud.deploy(written(tmp_path / "first") | one, APP, STACK)
    changed = written(tmp_path / "second", SERVICE.replace("Hello", "Hi"))
    own_cloud.deploy(changed | one, APP, STACK)
    assert len(roles(own_cloud)) == 2

    # when the environment gets another name and another role, and a later resource fails
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(changed | other | {"fails": "yes"}, APP, STACK)
    # then both versions are invoked through the old role
    assert all("OneRole" in role for role in roles(own_cloud)), roles(own_cloud)
    assert greeted(own_cloud) == "Hi Ann"

    # and when nothing fails, through the new one
    own_cloud.deploy(changed | other, APP, STACK)
    assert all("AnotherRole" in role for role in roles(own_cloud)), roles(own_cloud)
    assert greeted(own_cloud) == "Hi Ann"
    own_cloud.destroy(STACK)
    assert addresses(own_cloud, set()) == set()


def roles(cloud: HolidayCloud) -> list[str]:
    """The role through which each deployment is invoked."""
    return [deployment["assume_role_arn"] for deployment in cloud.admin.deployments()]
