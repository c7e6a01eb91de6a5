"""Taking back a deployment that added a service: what began on it ends on it. With IAM enforced: test_permissions."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from tests.deploy.planner import HELD, answer, deploy, plan
from tests.deploy.state import awakeable, resolve, services, unfinished
from tests.driver import eventually

pytestmark = pytest.mark.slow


def test_what_began_on_it_is_waited_for_and_ends(own_cloud: HolidayCloud, tmp_path: Path) -> None:
    # given a service that was added, and plans that are in each step of it
    deploy(own_cloud, tmp_path)
    deploy(own_cloud, tmp_path, "120")
    newer = services(own_cloud)["planner"]
    held = {plan(own_cloud, name): end for name, end in HELD.items()}

    # when the deployment before is deployed again, then new plans run on that at once
    with ThreadPoolExecutor() as threads:
        taken_back = threads.submit(deploy, own_cloud, tmp_path)
        assert eventually(lambda: services(own_cloud)["planner"] != newer, bool)
        url = f"{own_cloud.ingress_url}/planner/plan"
        assert httpx.post(url, json="Bonn", timeout=60, trust_env=False).json() == "Bonn by hand"
        assert not taken_back.done()
        assert "hotels" in services(own_cloud)

        # and the plans can go on, in the service that is about to go
        for name in HELD:
            resolve(own_cloud, awakeable(own_cloud, name) or "")
        assert {each: answer(own_cloud, each) for each in held} == held
        taken_back.result()

    # and the service is gone when it has
    assert services(own_cloud).keys() == {"planner"}
    assert eventually(lambda: unfinished(own_cloud), lambda left: not left) == []


def test_what_does_not_end_is_not_killed_and_one_line_says_what_to_do(own_cloud: HolidayCloud, tmp_path: Path) -> None:
    # given a plan that is held up in a service whose removal waits for a moment only
    deploy(own_cloud, tmp_path)
    deploy(own_cloud, tmp_path, "3")
    invocation = plan(own_cloud, "Rome, held in book")

    # when the deployment is taken back, then that ends well, and the caller's invocation is still there
    deploy(own_cloud, tmp_path)
    assert services(own_cloud).keys() == {"planner"}
    assert [each for each in unfinished(own_cloud) if each.startswith("planner/plan")]

    # and the registration function's log names it, once
    logs = own_cloud.client("logs")
    found = logs.describe_log_groups()["logGroups"]
    groups = [each.get("logGroupName", "") for each in found if "Deployer" in str(each)]
    events = [each for group in groups for each in logs.filter_log_events(logGroupName=group).get("events", [])]
    lines = [str(each.get("message")) for each in events if "began on older versions" in str(each.get("message"))]
    assert len(lines) == 1
    assert invocation in lines[0]
    httpx.patch(f"{own_cloud.admin_url}/invocations/{invocation}/kill", trust_env=False).raise_for_status()
