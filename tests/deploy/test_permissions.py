"""Who may do what, where IAM is enforced, and each right that is missing denied: the shape for Restate Cloud."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import booking
from demo.cloud import HolidayCloud
from localcloud import invocations
from localcloud.environment import LocalCloudError
from localcloud.ports import Ports
from restate_lambda_cdk.environment import RESTATE_CLOUD_ACCOUNT
from tests.deploy import greetings
from tests.deploy.cloud_shape import (
    ANOTHER,
    ENVIRONMENT,
    KEY,
    OTHER_KEY,
    SESSION,
    SOMEBODY_ELSES,
    Deployed,
    denied,
    in_the_shape_for_restate_cloud,
)
from tests.deploy.gatekeeper import guarding
from tests.deploy.state import awakeable, deployments, deployments_of, resolve, routes, unfinished
from tests.deploy.watched import Watch
from tests.driver import eventually
from tests.expectations import TABLES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with (
        HolidayCloud(tmp_path_factory.mktemp("auth"), Ports.free(), auth=True) as cloud,
        in_the_shape_for_restate_cloud(cloud) as deployed,
    ):
        yield deployed


def test_restate_assumes_the_role_and_invokes_and_a_trip_is_booked(deployed: Deployed) -> None:
    # when a trip is booked, then it stands
    trip = booking.book(deployed.cloud, "permitted", "success")
    assert trip.status == 200, trip.answer
    assert {row["transaction_status"] for row in booking.rows_of(deployed.cloud, "permitted").values()} == {"confirmed"}

    # and its notice was published: trips/notify would not have ended otherwise
    assert eventually(lambda: unfinished(deployed.cloud), lambda left: not left) == []


def test_nobody_but_restate_assumes_the_role_and_only_with_the_environment_s_id(deployed: Deployed) -> None:
    role = deployed.outputs["InvokerRoleArn"]

    # Restate Cloud with this environment's id can, and with another or none it cannot
    assert not denied(lambda: deployed.restate().assume(role, ExternalId=ENVIRONMENT))
    assert denied(lambda: deployed.restate().assume(role, ExternalId=SOMEBODY_ELSES))
    assert denied(lambda: deployed.restate().assume(role))

    # other principals of that account, and other accounts, cannot with the right id
    assert denied(lambda: deployed.restate("somebody else").assume(role, ExternalId=ENVIRONMENT))
    assert denied(lambda: deployed.root_of(RESTATE_CLOUD_ACCOUNT).assume(role, ExternalId=ENVIRONMENT))
    assert denied(lambda: deployed.root_of("111122223333").assume(role, ExternalId=ENVIRONMENT))


def test_the_role_invokes_the_registered_versions_and_nothing_else(deployed: Deployed) -> None:
    # given who has assumed the role, and functions of others
    functions = deployed.restate().assume(deployed.outputs["InvokerRoleArn"], ExternalId=ENVIRONMENT).client("lambda")
    all_there_are = [
        each["FunctionArn"] for each in deployed.root_of("000000000000").client("lambda").list_functions()["Functions"]
    ]
    registered = [arn for name, arn in deployed.outputs.items() if name.endswith("VersionArn")]
    assert len(registered) == 4 and len(all_there_are) > 4

    def invocation_is_denied(arn: str) -> bool:
        return denied(lambda: functions.invoke(FunctionName=arn, Payload=b"{}"))

    # then it invokes the four versions, and neither what is not published nor the registration function
    assert not [arn for arn in registered if invocation_is_denied(arn)]
    for function in all_there_are:
        assert invocation_is_denied(function)
        assert invocation_is_denied(f"{function}:$LATEST")
    (registrar,) = (arn for arn in all_there_are if "Deployer" in arn)
    assert invocation_is_denied(f"{registrar}:1")

    # and it can do nothing else with the four
    assert denied(lambda: functions.get_function(FunctionName=registered[0]))
    assert denied(lambda: functions.delete_function(FunctionName=registered[0]))


def test_the_registration_function_reads_its_secret_and_no_other(deployed: Deployed) -> None:
    other = deployed.cloud.client("secretsmanager").create_secret(Name="restate/api-key-2", SecretString="x")["ARN"]
    registrar = deployed.function("Deployer")
    secrets = registrar.client("secretsmanager")

    assert secrets.get_secret_value(SecretId=deployed.secret)["SecretString"] == KEY

    assert denied(lambda: secrets.get_secret_value(SecretId=other))
    assert denied(lambda: secrets.put_secret_value(SecretId=deployed.secret, SecretString="mine"))
    assert denied(lambda: registrar.client("lambda").list_functions())
    assert denied(lambda: registrar.client("dynamodb").scan(TableName=deployed.outputs["FlightsTableName"]))


MAY = {
    **{table: {("put_item", table), ("update_item", table)} for table in TABLES.values()},
    "Trips": {("publish", "Notices")},
}
MAY["Flights"] |= {("query", "Flights")}
ITEM = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}


@pytest.mark.parametrize("service", MAY)
def test_a_service_does_its_own_actions_on_its_own_table_or_topic_and_no_others(
    deployed: Deployed, service: str
) -> None:
    # given the service's own role, and everything that any service does, on every table and two topics
    function = deployed.function(f"{service}Service")
    dynamodb, sns = function.client("dynamodb"), function.client("sns")
    one = {"ExpressionAttributeValues": {":pk": {"S": "probe"}}, "KeyConditionExpression": "pk = :pk"}
    on_tables: dict[str, dict[str, Any]] = {
        "query": one,
        "put_item": {"Item": ITEM},
        "update_item": {"Key": ITEM},
        "get_item": {"Key": ITEM},
        "delete_item": {"Key": ITEM},
        "scan": {},
        "delete_table": {},
    }
    other_topic = deployed.cloud.client("sns").create_topic(Name="other")["TopicArn"]
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for table in TABLES.values():
        name = deployed.outputs[f"{table}TableName"]
        for action, arguments in on_tables.items():
            calls[action, table] = lambda action=action, name=name, arguments=arguments: getattr(dynamodb, action)(
                TableName=name, **arguments
            )
    for topic, arn in {"Notices": deployed.outputs["TopicArn"], "other": other_topic}.items():
        calls["publish", topic] = lambda arn=arn: sns.publish(TopicArn=arn, Message="probe")
    calls["get_secret_value", "key"] = lambda: function.client("secretsmanager").get_secret_value(
        SecretId=deployed.secret
    )

    # then what is not denied is what it may do
    assert {what for what, call in calls.items() if not denied(call)} == MAY[service]


def test_restate_with_another_external_id_can_neither_be_introduced_nor_invoke(
    deployed: Deployed, tmp_path: Path
) -> None:
    # given another stack, whose role is for the environment of somebody else, when it is deployed
    settings = {
        "environmentId": SOMEBODY_ELSES,
        "principal": SESSION,
        "adminUrl": deployed.admin_url,
        "secret": deployed.secret,
        "timeout": "50",
    }
    with pytest.raises(LocalCloudError) as failure:
        deployed.cloud.deploy(greetings.written(tmp_path) | settings, greetings.APP, greetings.STACK)

    # then the last lines say what to look at, and nothing of it is in Restate
    said = " ".join(str(failure.value).split())
    assert "Restate cannot invoke the function: check what its role may invoke" in said
    assert deployments_of(deployed.cloud, "greeter") == set()

    # and given a Restate that comes with somebody else's id, when a trip is to be booked, then it cannot begin
    deployed.let_restate_use(SOMEBODY_ELSES)
    try:
        address = f"{deployed.cloud.ingress_url}/trips/reserve/send"
        invocation = httpx.post(address, json={}, timeout=60, trust_env=False).json()["invocationId"]
        query = invocations.unfinished(f"id = '{invocation}' AND failure IS NOT NULL")
        (found,) = eventually(lambda: deployed.cloud.admin.query(query), bool)
        assert "AssumeRole" in found["failure"]
    finally:
        deployed.let_restate_use(ENVIRONMENT)

    # and with the right one, it ends well
    url = f"{deployed.cloud.ingress_url}/restate/invocation/{invocation}/attach"
    assert httpx.get(url, timeout=120, trust_env=False).json()["status"] == "success"


def test_alarms_fire_for_an_invoker_role_that_is_lost_and_for_a_monitor_whose_key_is_rejected(
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

    # when somebody takes a permission from the role through which Restate invokes
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

        # and when the key is rejected, then the other one does, and this one stays
        secrets.put_secret_value(SecretId=deployed.secret, SecretString=OTHER_KEY)
        failure = watch.look()
        assert failure and "rejected the API key (401: who is Bearer ***?)" in failure["errorMessage"]
        cloud.client("cloudwatch").put_metric_data(Namespace="Any", MetricData=[{"MetricName": "Any", "Value": 1}])
        assert (watch.state("NotLooking"), watch.state("Stuck")) == ("ALARM", "ALARM")
    finally:
        secrets.put_secret_value(SecretId=deployed.secret, SecretString=KEY)
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)

    # and after both repairs, both are quiet
    url = f"{cloud.ingress_url}/restate/invocation/{invocation}/attach"
    assert httpx.get(url, timeout=120, trust_env=False).json()["status"] == "success"
    assert eventually(lambda: unfinished(cloud), lambda left: not left) == []
    assert watch.becomes("OK")
    assert eventually(lambda: watch.look() or watch.state("NotLooking"), lambda state: state == "OK") == "OK"
    cloud.destroy("Watched")


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


def test_a_function_that_is_replaced_in_mid_work_is_invoked_until_that_is_done(
    deployed: Deployed, tmp_path: Path
) -> None:
    # given a function with a name, and work in flight that waits
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

    # when the function gets another name, which makes it another one, and the work goes on as soon as that one serves
    def go_on() -> None:
        assert old not in eventually(lambda: routes(cloud), lambda found: old not in found, timeout=300)
        resolve(cloud, waiting)

    with ThreadPoolExecutor() as threads:
        going_on = threads.submit(go_on)
        cloud.deploy(settings | {"called": "two"}, greetings.APP, greetings.STACK)
        going_on.result()

    # then it ended well, on the old function, which is gone now
    url = f"{cloud.ingress_url}/restate/invocation/{invocation}/output"
    assert httpx.get(url, timeout=60, trust_env=False).json() == "Hello ann"
    assert old not in deployments(cloud).values()
    cloud.destroy(greetings.STACK)


def test_another_environment_in_another_place_takes_over_with_a_role_and_a_key_of_its_own(
    deployed: Deployed, tmp_path: Path
) -> None:
    # given a stack in this environment, and another environment elsewhere, with another key
    sources = greetings.written(tmp_path / "sources") | {"principal": SESSION}
    here = {"environmentId": ENVIRONMENT, "adminUrl": deployed.admin_url, "secret": deployed.secret}
    deployed.cloud.deploy(sources | here, greetings.APP, greetings.STACK)
    assert deployments_of(deployed.cloud, "greeter")
    key = deployed.cloud.client("secretsmanager").create_secret(Name="restate/elsewhere", SecretString=OTHER_KEY)["ARN"]
    elsewhere = HolidayCloud(tmp_path / "elsewhere", Ports.free())
    elsewhere.restate_settings = deployed.restate_settings(ANOTHER) | {"AWS_ENDPOINT_URL": deployed.cloud.aws_url}
    with elsewhere, guarding(elsewhere.admin_url, OTHER_KEY) as gatekeeper:
        # when the stack moves there
        there = {"environmentId": ANOTHER, "adminUrl": gatekeeper.url, "secret": key}
        deployed.cloud.deploy(sources | there, greetings.APP, greetings.STACK)

        # then it serves there, through the one role that is left, and here nothing of it is
        url = f"{elsewhere.ingress_url}/greeter/greet"
        assert httpx.post(url, json="Ann", timeout=60, trust_env=False).json() == "Hello Ann"
        assert deployments_of(deployed.cloud, "greeter") == set()
        roles = deployed.root_of("000000000000").client("iam").list_roles()["Roles"]
        (role,) = (role for role in roles if role["RoleName"].startswith("Greetings-RestateInvokerRole"))
        assert ANOTHER in str(role["AssumeRolePolicyDocument"])
