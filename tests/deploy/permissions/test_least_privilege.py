"""Where IAM is enforced: each role may do what it needs and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from demo import booking
from restate_lambda_cdk.cloud_environment import RESTATE_CLOUD_ACCOUNT
from tests.deploy.authenticating_proxy import KEY
from tests.deploy.restate_cloud import (
    ENVIRONMENT,
    SOMEBODY_ELSES,
    Deployed,
    denied,
)
from tests.deploy.state import unfinished
from tests.driver import eventually
from tests.expectations import TABLES

pytestmark = pytest.mark.slow

MAY = {
    **{table: {("put_item", table), ("update_item", table)} for table in TABLES.values()},
    "Trips": {("publish", "Notices")},
}
MAY["Flights"] |= {("query", "Flights")}
ITEM = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}


def test_restate_assumes_the_role_and_invokes_and_a_trip_is_booked(deployed: Deployed) -> None:
    # when a trip is booked, then it succeeds
    trip = booking.book(deployed.cloud, "permitted", "success")
    assert trip.status == 200, trip.answer
    assert {row["transaction_status"] for row in booking.rows_of(deployed.cloud, "permitted").values()} == {"confirmed"}

    # and its notice was published, otherwise trips/notify would not have ended
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


def test_the_role_may_only_invoke_the_registered_versions(deployed: Deployed) -> None:
    # given a session of the role, and functions that are not ours
    functions = deployed.restate().assume(deployed.outputs["InvokerRoleArn"], ExternalId=ENVIRONMENT).client("lambda")
    all_there_are = [
        each["FunctionArn"] for each in deployed.root_of("000000000000").client("lambda").list_functions()["Functions"]
    ]
    registered = [arn for name, arn in deployed.outputs.items() if name.endswith("VersionArn")]
    assert len(registered) == 4 and len(all_there_are) > 4

    def invocation_is_denied(arn: str) -> bool:
        return denied(lambda: functions.invoke(FunctionName=arn, Payload=b"{}"))

    # then it may invoke the four versions, but no unpublished code and not the registration function
    assert not [arn for arn in registered if invocation_is_denied(arn)]
    for function in all_there_are:
        assert invocation_is_denied(function)
        assert invocation_is_denied(f"{function}:$LATEST")
    (registrar,) = (arn for arn in all_there_are if "Deployer" in arn)
    assert invocation_is_denied(f"{registrar}:1")

    # and it may do nothing else with the four
    assert denied(lambda: functions.get_function(FunctionName=registered[0]))
    assert denied(lambda: functions.delete_function(FunctionName=registered[0]))


def test_the_registration_function_may_read_only_its_own_secret(deployed: Deployed) -> None:
    other = deployed.cloud.client("secretsmanager").create_secret(Name="restate/api-key-2", SecretString="x")["ARN"]
    registrar = deployed.function("Deployer")
    secrets = registrar.client("secretsmanager")

    assert secrets.get_secret_value(SecretId=deployed.secret)["SecretString"] == KEY

    assert denied(lambda: secrets.get_secret_value(SecretId=other))
    assert denied(lambda: secrets.put_secret_value(SecretId=deployed.secret, SecretString="mine"))
    assert denied(lambda: registrar.client("lambda").list_functions())
    assert denied(lambda: registrar.client("dynamodb").scan(TableName=deployed.outputs["FlightsTableName"]))


@pytest.mark.parametrize("service", MAY)
def test_a_service_may_use_only_its_own_actions_on_its_own_table_or_topic(deployed: Deployed, service: str) -> None:
    # given the service's role, and every action of any service on every table and two topics
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

    # then only its own actions are not denied
    assert {what for what, call in calls.items() if not denied(call)} == MAY[service]
