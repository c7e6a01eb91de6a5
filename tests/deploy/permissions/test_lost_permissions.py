"""Where IAM is enforced: what a lost permission looks like, and what keeps working while roles and functions change."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from localcloud import invocations
from localcloud.environment import LocalCloudError
from localcloud.ports import Ports
from tests.deploy import greetings
from tests.deploy.authenticating_proxy import KEY, OTHER_KEY, guarding
from tests.deploy.monitored import Watch
from tests.deploy.restate_cloud import (
    ANOTHER,
    ENVIRONMENT,
    SESSION,
    SOMEBODY_ELSES,
    Deployed,
    denied,
)
from tests.deploy.state import awakeable, deployments, deployments_of, resolve, routes, unfinished
from tests.driver import eventually

pytestmark = pytest.mark.slow

WAITS = """
import restate

greeter = restate.VirtualObject("greeter")


@greeter.handler()
async def greet(ctx: restate.ObjectContext) -> str:
    name, go = ctx.awakeable()
    ctx.set("awakeable", name)
    await go
    return f"Hello {ctx.key()}"


handler = restate.app([greeter])
"""


def test_restate_with_another_external_id_can_neither_register_nor_invoke(deployed: Deployed, tmp_path: Path) -> None:
    # given another stack, whose role is for somebody else's environment, when it is deployed
    settings = {
        "environmentId": SOMEBODY_ELSES,
        "principal": SESSION,
        "adminUrl": deployed.admin_url,
        "secret": deployed.secret,
        "timeout": "50",
    }
    with pytest.raises(LocalCloudError) as failure:
        deployed.cloud.deploy(greetings.written(tmp_path) | settings, greetings.APP, greetings.STACK)

    # then the last lines say what to check, and nothing is registered
    said = " ".join(str(failure.value).split())
    assert "Restate cannot invoke the function: check the permissions of its role" in said
    assert deployments_of(deployed.cloud, "greeter") == set()

    # and given a Restate with another external id, when a trip is booked, then it cannot begin
    deployed.let_restate_use(SOMEBODY_ELSES)
    try:
        address = f"{deployed.cloud.ingress_url}/trips/reserve/send"
        invocation = httpx.post(address, json={}, timeout=60, trust_env=False).json()["invocationId"]
        query = invocations.unfinished(f"id = '{invocation}' AND failure IS NOT NULL")
        (found,) = eventually(lambda: deployed.cloud.admin.query(query), bool)
        assert "AssumeRole" in found["failure"]
    finally:
        deployed.let_restate_use(ENVIRONMENT)

    # and with the right external id, it succeeds
    url = f"{deployed.cloud.ingress_url}/restate/invocation/{invocation}/attach"
    assert httpx.get(url, timeout=120, trust_env=False).json()["status"] == "success"


def test_alarms_fire_for_a_lost_invoker_role_and_for_a_rejected_key(
    deployed: Deployed,
) -> None:
    # given a monitor, which reads the key with its own role
    cloud, secrets = deployed.cloud, deployed.cloud.client("secretsmanager")
    watch = Watch(cloud, adminUrl=deployed.admin_url, secret=deployed.secret, anyNamespace="yes")
    assert watch.becomes("OK")
    function = deployed.function("Watched")
    assert denied(lambda: function.client("lambda").list_functions())
    assert denied(
        lambda: function.client("secretsmanager").put_secret_value(SecretId=deployed.secret, SecretString="x")
    )

    # when somebody removes a permission from the invoker role
    iam, role = cloud.client("iam"), deployed.outputs["InvokerRoleArn"].rpartition("/")[2]
    (policy,) = (name for name in iam.list_role_policies(RoleName=role)["PolicyNames"] if "Trips" in name)
    document = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        # then a trip cannot begin, and the alarm fires
        address = f"{cloud.ingress_url}/trips/reserve/send"
        invocation = httpx.post(address, json={}, timeout=60, trust_env=False).json()["invocationId"]
        assert watch.becomes("ALARM")
        assert watch.published("StuckInvocations", "trips") == [1.0]

        # and when the key is rejected, then the other alarm fires, and this one stays
        secrets.put_secret_value(SecretId=deployed.secret, SecretString=OTHER_KEY)
        failure = watch.check()
        assert failure and "rejected the API key (401: who is Bearer ***?)" in failure["errorMessage"]
        cloud.client("cloudwatch").put_metric_data(Namespace="Any", MetricData=[{"MetricName": "Any", "Value": 1}])
        assert (watch.state("NotRunning"), watch.state("Stuck")) == ("ALARM", "ALARM")
    finally:
        secrets.put_secret_value(SecretId=deployed.secret, SecretString=KEY)
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)

    # and after both repairs, both return to OK
    url = f"{cloud.ingress_url}/restate/invocation/{invocation}/attach"
    assert httpx.get(url, timeout=120, trust_env=False).json()["status"] == "success"
    assert eventually(lambda: unfinished(cloud), lambda left: not left) == []
    assert watch.becomes("OK")
    assert eventually(lambda: watch.check() or watch.state("NotRunning"), lambda state: state == "OK") == "OK"
    cloud.destroy("Watched")


def test_a_replaced_function_is_invoked_until_its_work_is_done(deployed: Deployed, tmp_path: Path) -> None:
    # given a named function with work in flight
    cloud = deployed.cloud
    here = {
        "environmentId": ENVIRONMENT,
        "adminUrl": deployed.admin_url,
        "secret": deployed.secret,
        "principal": SESSION,
    }
    settings = greetings.written(tmp_path, WAITS) | here | {"drain": "60"}
    old = cloud.deploy(settings | {"called": "one"}, greetings.APP, greetings.STACK)["GreeterVersionArn"]
    address = f"{cloud.ingress_url}/greeter/ann/greet/send"
    invocation = httpx.post(address, timeout=60, trust_env=False).json()["invocationId"]
    waiting = eventually(lambda: awakeable(cloud, "ann"), bool)
    assert waiting and old in routes(cloud)

    # when the function is renamed, and so replaced, and its work continues once the new one serves
    def go_on() -> None:
        assert old not in eventually(lambda: routes(cloud), lambda found: old not in found, timeout=300)
        resolve(cloud, waiting)

    with ThreadPoolExecutor() as threads:
        going_on = threads.submit(go_on)
        cloud.deploy(settings | {"called": "two"}, greetings.APP, greetings.STACK)
        going_on.result()

    # then the work has finished on the old function, which is gone now
    url = f"{cloud.ingress_url}/restate/invocation/{invocation}/output"
    assert httpx.get(url, timeout=60, trust_env=False).json() == "Hello ann"
    assert old not in deployments(cloud).values()
    cloud.destroy(greetings.STACK)


def test_a_stack_moves_to_another_environment_with_its_own_role_and_key(deployed: Deployed, tmp_path: Path) -> None:
    # given a stack in this environment, and another environment with another key
    sources = greetings.written(tmp_path / "sources") | {"principal": SESSION}
    here = {"environmentId": ENVIRONMENT, "adminUrl": deployed.admin_url, "secret": deployed.secret}
    deployed.cloud.deploy(sources | here, greetings.APP, greetings.STACK)
    assert deployments_of(deployed.cloud, "greeter")
    key = deployed.cloud.client("secretsmanager").create_secret(Name="restate/elsewhere", SecretString=OTHER_KEY)["ARN"]
    elsewhere = HolidayCloud(tmp_path / "elsewhere", Ports.free())
    elsewhere.restate_settings = deployed.restate_settings(ANOTHER) | {"AWS_ENDPOINT_URL": deployed.cloud.aws_url}
    with elsewhere, guarding(elsewhere.admin_url, OTHER_KEY) as authenticating_proxy:
        # when the stack moves there
        there = {"environmentId": ANOTHER, "adminUrl": authenticating_proxy.url, "secret": key}
        deployed.cloud.deploy(sources | there, greetings.APP, greetings.STACK)

        # then it is served there, through the only role left, and nothing of it is left here
        url = f"{elsewhere.ingress_url}/greeter/greet"
        assert httpx.post(url, json="Ann", timeout=60, trust_env=False).json() == "Hello Ann"
        assert deployments_of(deployed.cloud, "greeter") == set()
        roles = deployed.root_of("000000000000").client("iam").list_roles()["Roles"]
        (role,) = (role for role in roles if role["RoleName"].startswith("Greetings-RestateInvokerRole"))
        assert ANOTHER in str(role["AssumeRolePolicyDocument"])
