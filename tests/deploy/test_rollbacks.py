"""After a rollback, callers get the same answers as before the deploy, although it renamed or took over a service."""

from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from localcloud.environment import LocalCloudError
from tests.deploy.greetings import APP, SERVICE, STACK, written
from tests.deploy.state import deployments, services

pytestmark = pytest.mark.slow

RENAMED = SERVICE.replace('"greeter"', '"porter"')
CHANGES = {"breaking": "yes", "take_over": "yes", "fails": "yes"}


def test_a_renamed_service_and_one_that_was_taken_over_answer_again_after_the_rollback(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given two stacks with one service each
    ours = own_cloud.deploy(written(tmp_path / "greeter"), APP, STACK)
    anns = {"stack": "Ann", "services": "porter"}
    own_cloud.deploy(written(tmp_path / "ann", RENAMED) | anns, APP, "Ann")
    assert (greeted(own_cloud, "greeter"), greeted(own_cloud, "porter")) == (200, 200)

    # when the second stack takes over the first one's service, the first renames it, and both are rolled back
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(written(tmp_path / "taker") | CHANGES | anns | {"services": "greeter"}, APP, "Ann")
    assert (greeted(own_cloud, "greeter"), greeted(own_cloud, "porter")) == (200, 200)
    visitor = SERVICE.replace('"greeter"', '"visitor"')
    with pytest.raises(LocalCloudError, match="this one always fails"):
        own_cloud.deploy(written(tmp_path / "visitor", visitor) | CHANGES | {"services": "visitor"}, APP, STACK)

    # then both services are public again, each served by its own stack
    assert (greeted(own_cloud, "greeter"), greeted(own_cloud, "porter")) == (200, 200)
    served_by, _ = services(own_cloud)["greeter"]
    assert deployments(own_cloud)[served_by] == ours["GreeterVersionArn"]


def greeted(cloud: HolidayCloud, service: str) -> int:
    return httpx.post(f"{cloud.ingress_url}/{service}/greet", json="Ann", timeout=60, trust_env=False).status_code
