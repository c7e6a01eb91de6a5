"""What matters most in the template: each function's variables and runtime, and what is retained."""

import json
from pathlib import Path

import pytest
from aws_cdk import Environment
from aws_cdk import aws_lambda as lambda_

from holiday.services import SERVICES as ROWS
from holiday_stack.libraries import PYTHONS
from holiday_stack.settings import Settings
from holiday_stack.stack import BOOKED, RUNBOOK, HolidayStack
from tests.stack.conftest import (
    CALLEES,
    CLOUD,
    SECRET_ARN,
    SELF_HOSTED,
    SERVICES,
    Synthesized,
    app_with_cdk_json,
    synthesized,
    variables,
)


def test_the_stack_and_the_lambda_code_have_rows_for_the_same_services() -> None:
    """A service without a table here would be retried forever; one without a row in services.py is never called."""
    for name in ROWS.keys() - BOOKED.keys():
        pytest.fail(f"BOOKED in holiday_stack/stack.py has no row for {name!r}, but services.py has one")
    assert list(BOOKED) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_stack_and_the_lambda_code_have_the_same_compensation(name: str) -> None:
    """Otherwise its alarm would never fire."""
    if name in BOOKED:  # otherwise the test above fails
        assert BOOKED[name].compensation == ROWS[name].compensation, f"the row of {name} in holiday_stack/stack.py"


@pytest.mark.parametrize("name", ROWS)
def test_a_function_s_only_variable_is_its_own_table(cloud: Synthesized, name: str) -> None:
    table, _ = cloud.one("AWS::DynamoDB::Table", name.capitalize())

    assert variables(cloud, name.capitalize()) == {ROWS[name].table_variable: {"Ref": table}}


def test_the_only_variable_of_trips_is_its_topic(cloud: Synthesized) -> None:
    assert variables(cloud, "Trips").keys() == {"SNS_TOPIC"}


def test_functions_are_arm_on_python_3_13_log_json_and_time_out_after_ten_seconds(cloud: Synthesized) -> None:
    for service in SERVICES:
        _, function = cloud.one("AWS::Lambda::Function", f"{service}Service")
        properties = function["Properties"]

        assert properties["Architectures"] == ["arm64"]
        assert properties["Runtime"] == "python3.13"
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        assert properties["LoggingConfig"]["SystemLogLevel"] == "WARN"
        assert properties["Timeout"] == 10
        assert properties["Handler"] == f"holiday.{service.lower()}.handler"


@pytest.mark.parametrize("python", PYTHONS)
def test_all_functions_and_their_packages_use_the_chosen_runtime(tmp_path: Path, python: str) -> None:
    # given a runtime that AWS CDK knows
    assert hasattr(lambda_.Runtime, f"PYTHON_{python.replace('.', '_')}")
    app = app_with_cdk_json(tmp_path)

    # when it is synthesized
    HolidayStack(app, "Holiday", Settings.from_context(SELF_HOSTED | {"pythonRuntime": python}))
    app.synth()

    # then all functions and native modules are for that runtime
    template = json.loads((tmp_path / "Holiday.template.json").read_text())
    functions = [each["Properties"] for each in Synthesized(template).of_type("AWS::Lambda::Function").values()]
    assert {(each["Runtime"], *each["Architectures"]) for each in functions} == {(f"python{python}", "arm64")}
    native = [module.name for module in tmp_path.glob("asset.*/**/*.so")]
    suffix = f".cpython-{python.replace('.', '')}-aarch64-linux-gnu.so"
    assert native and all(name.endswith(suffix) for name in native)


def test_tables_are_on_demand_with_point_in_time_recovery_and_generated_names(cloud: Synthesized) -> None:
    tables = cloud.of_type("AWS::DynamoDB::Table")

    assert len(tables) == len(CALLEES)
    for table in tables.values():
        properties = table["Properties"]
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert "TableName" not in properties
        assert [(key["AttributeName"], key["KeyType"]) for key in properties["KeySchema"]] == [
            ("pk", "HASH"),
            ("sk", "RANGE"),
        ]


def test_rows_cannot_be_lost_by_mistake(cloud: Synthesized) -> None:
    for table in cloud.of_type("AWS::DynamoDB::Table").values():
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert table["Properties"]["DeletionProtectionEnabled"] is True
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}


def test_a_disposable_stack_deletes_its_tables_and_logs() -> None:
    found = synthesized(SELF_HOSTED | {"disposable": "true"})

    for table in found.of_type("AWS::DynamoDB::Table").values():
        assert table["DeletionPolicy"] == "Delete"
        assert not table["Properties"]["DeletionProtectionEnabled"]
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}


def test_the_topic_is_encrypted_and_accepts_only_tls(cloud: Synthesized) -> None:
    name, topic = cloud.one("AWS::SNS::Topic", "Notices")
    ((_, policy),) = cloud.of_type("AWS::SNS::TopicPolicy").items()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]

    assert "alias/aws/sns" in str(topic["Properties"]["KmsMasterKeyId"])
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "sns:Publish", {"Ref": name})
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_notices_go_to_the_configured_email_address(cloud: Synthesized, self_hosted: Synthesized) -> None:
    ((_, subscription),) = cloud.of_type("AWS::SNS::Subscription").items()

    assert (subscription["Properties"]["Protocol"], subscription["Properties"]["Endpoint"]) == (
        "email",
        "ann@example.com",
    )
    assert not self_hosted.of_type("AWS::SNS::Subscription")


def test_with_an_alarm_topic_the_four_services_are_monitored_for_stuck_invocations(cloud: Synthesized) -> None:
    _, function = cloud.one("AWS::Lambda::Function", "Monitor")
    found = function["Properties"]["Environment"]["Variables"]
    services = ",".join(sorted([*ROWS, "trips"]))
    assert (found["SERVICES"], found["AUTH_TOKEN_SECRET_ARN"]) == (services, SECRET_ARN)

    # and it publishes the duration of bookings
    assert (found["DURATIONS"], found["INTERVAL_SECONDS"]) == ("trips/reserve", "60")

    # and both alarms notify the topic, and the one for stuck invocations links the runbook
    for name in ("MonitorStuck", "MonitorNotRunning"):
        _, alarm = cloud.one("AWS::CloudWatch::Alarm", name)
        assert alarm["Properties"]["AlarmActions"] == [CLOUD["alarmTopicArn"]]
    _, stuck = cloud.one("AWS::CloudWatch::Alarm", "MonitorStuck")
    assert RUNBOOK in str(stuck["Properties"]["AlarmDescription"])

    # and without a topic, or without a key, there is no monitor
    for context in (SELF_HOSTED, SELF_HOSTED | {"alarmTopicArn": CLOUD["alarmTopicArn"], "registration": "manual"}):
        assert not synthesized(context).of_type("AWS::Events::Rule")


def test_the_stack_accepts_the_arguments_of_cdk_s_stack(tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    where = Environment(account="111122223333", region="eu-west-1")

    settings = Settings.from_context(SELF_HOSTED)
    HolidayStack(app, "Holiday", settings, env=where, tags={"team": "travel"}, termination_protection=True)

    made = app.synth().get_stack_by_name("Holiday")
    assert (made.environment.account, made.environment.region) == ("111122223333", "eu-west-1")
    assert (dict(made.tags), made.termination_protection) == ({"team": "travel"}, True)
