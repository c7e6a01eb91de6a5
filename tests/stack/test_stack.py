"""What matters in the template, by name: who may do what, what is kept, and in which order things happen."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from aws_cdk import Environment, Stack, Validations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint  # pyright: ignore[reportMissingTypeStubs]
from cfnlint.config import ManualArgs  # pyright: ignore[reportMissingTypeStubs]

from holiday.services import SERVICES as ROWS
from holiday_stack.libraries import PYTHONS
from holiday_stack.settings import Settings
from holiday_stack.stack import BOOKED, RUNBOOK, HolidayStack
from tests.stack.conftest import (
    CLOUD,
    ENVIRONMENT_ID,
    SECRET_ARN,
    SELF_HOSTED,
    Synthesized,
    app_with_cdk_json,
    synthesized,
)

CALLEES = [name.capitalize() for name in BOOKED]
SERVICES = [*CALLEES, "Trips"]
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def allowed(statements: Iterable[dict[str, Any]]) -> list[tuple[set[str], Any]]:
    """What is allowed on what, but for logging."""
    found = [({*_listed(each["Action"])}, each["Resource"]) for each in statements if each["Effect"] == "Allow"]
    return [(actions, resource) for actions, resource in found if actions != LOGS]


def _listed(value: Any) -> list[Any]:
    """IAM lets a list of one be written without the list."""
    return cast(list[Any], value) if isinstance(value, list) else [value]


def test_only_restate_cloud_can_assume_the_invoker_role_and_only_for_this_environment(cloud: Synthesized) -> None:
    _, role = cloud.one("AWS::IAM::Role", "InvokerRole")

    account = {"AWS": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::654654156625:root"]]}}
    assert role["Properties"]["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": account,
            "Condition": {
                "StringEquals": {
                    "aws:PrincipalArn": "arn:aws:iam::654654156625:role/RestateCloud",
                    "sts:ExternalId": ENVIRONMENT_ID,
                }
            },
        },
        {"Effect": "Allow", "Action": "sts:TagSession", "Principal": account},
    ]


def test_the_invoker_role_invokes_published_versions_of_the_four_services_and_nothing_else(cloud: Synthesized) -> None:
    functions = [cloud.one("AWS::Lambda::Function", f"{service}Service")[0] for service in SERVICES]
    statements = cloud.statements("InvokerRole")

    def qualified(qualifier: str) -> list[dict[str, Any]]:
        return [{"Fn::Join": ["", [{"Fn::GetAtt": [function, "Arn"]}, qualifier]]} for function in functions]

    def resources(effect: str) -> list[str]:
        found = [each["Resource"] for each in statements if each["Effect"] == effect]
        return sorted(str(one) for each in found for one in _listed(each))

    assert {each["Action"] for each in statements} == {"lambda:InvokeFunction"}
    assert resources("Allow") == sorted(map(str, qualified(":*")))
    assert resources("Deny") == sorted(map(str, qualified(":$LATEST")))


def test_another_environment_gets_another_role_so_that_the_old_one_lasts_until_the_move_is_over(
    cloud: Synthesized,
) -> None:
    moved = synthesized(CLOUD | {"environmentId": "env_another"})

    assert cloud.one("AWS::IAM::Role", "InvokerRole")[0] != moved.one("AWS::IAM::Role", "InvokerRole")[0]


def test_a_server_of_ones_own_gets_no_role(self_hosted: Synthesized) -> None:
    assert not [name for name in self_hosted.of_type("AWS::IAM::Role") if "Invoker" in name]
    assert "InvokerRoleArn" not in self_hosted.template["Outputs"]


def test_the_services_that_have_a_row_here_are_those_that_have_one_in_what_they_run() -> None:
    """A service without a table here would be retried for ever, one without a row there is never called."""
    assert list(BOOKED) == list(ROWS)


@pytest.mark.parametrize("service", CALLEES)
def test_a_leaf_does_its_own_actions_on_its_own_table_and_nothing_else(cloud: Synthesized, service: str) -> None:
    table, _ = cloud.one("AWS::DynamoDB::Table", service)
    only_the_gate_reads = {"Query"} if service == "Flights" else set[str]()

    found = allowed(cloud.statements(f"{service}Service"))

    actions = {f"dynamodb:{action}" for action in ("PutItem", "UpdateItem", *only_the_gate_reads)}
    assert found == [(actions, {"Fn::GetAtt": [table, "Arn"]})]


def test_trips_publishes_on_the_topic_and_nothing_else(cloud: Synthesized) -> None:
    topic, _ = cloud.one("AWS::SNS::Topic", "Notices")

    assert allowed(cloud.statements("TripsService")) == [({"sns:Publish"}, {"Ref": topic})]


@pytest.mark.parametrize("service", [*SERVICES, "Deployer"])
def test_a_function_logs_to_its_own_log_group_only(cloud: Synthesized, service: str) -> None:
    log_group, _ = cloud.one("AWS::Logs::LogGroup", service)
    (logging,) = (each for each in cloud.statements(service) if {*_listed(each["Action"])} == LOGS)

    assert logging["Resource"] == {"Fn::GetAtt": [log_group, "Arn"]}


def test_the_registration_function_reads_its_secret_and_versions_variables_and_nothing_else(
    cloud: Synthesized, self_hosted: Synthesized
) -> None:
    secret = ({"secretsmanager:GetSecretValue"}, SECRET_ARN)
    for stack, expected in ((cloud, [secret]), (self_hosted, [])):
        others = [each for each in allowed(stack.statements("Deployer")) if each not in expected]

        versions = [{"Fn::Join": ["", [{"Fn::GetAtt": [function_of(stack, each), "Arn"]}, ":*"]]} for each in SERVICES]
        assert len(others) == len(allowed(stack.statements("Deployer"))) - len(expected)
        assert sorted(map(str, others)) == sorted(str(({"lambda:GetFunctionConfiguration"}, each)) for each in versions)


@pytest.mark.parametrize(
    "where", [{"environmentId": ENVIRONMENT_ID, "restateRegion": "eu"}, {"adminUrl": SELF_HOSTED["adminUrl"]}]
)
def test_with_manual_registration_nothing_registers_and_the_outputs_hold_what_a_person_needs(
    where: dict[str, str],
) -> None:
    # given the same stack with and without automatic registration
    key = {"authTokenSecretArn": SECRET_ARN} if "environmentId" in where else {}
    automatic, manual = synthesized(where | key), synthesized(where | {"registration": "manual"})

    # then nothing that registers or may read a secret is left, and all the rest is the same
    left_out = set(automatic.template["Resources"]) - set(manual.template["Resources"])
    of_registrations = re.compile(f"Deployer|RestateApiKey|Restate({'|'.join(SERVICES)})Service")
    assert [name for name in left_out if not of_registrations.match(name)] == []
    assert len(manual.of_type("AWS::Lambda::Function")) == len(SERVICES)
    assert not manual.of_type("Custom::RestateService")
    assert "secretsmanager" not in json.dumps(manual.template)
    assert set(manual.template["Resources"]) < set(automatic.template["Resources"])

    # and so are the outputs, the versions and the invoker role among them
    assert manual.template["Outputs"] == automatic.template["Outputs"]
    assert {f"{service}VersionArn" for service in SERVICES} < set(manual.template["Outputs"])


def test_no_secret_value_is_anywhere_in_the_template(cloud: Synthesized) -> None:
    text = json.dumps(cloud.template)

    assert "{{resolve:" not in text
    assert "AWS::SecretsManager" not in text
    for service in SERVICES:
        assert "SECRET" not in str(variables(cloud, service)).upper()


@pytest.mark.parametrize("name", ROWS)
def test_a_function_knows_its_own_table_by_the_name_that_it_asks_for_and_no_more(cloud: Synthesized, name: str) -> None:
    table, _ = cloud.one("AWS::DynamoDB::Table", name.capitalize())

    assert variables(cloud, name.capitalize()) == {ROWS[name].table_variable: {"Ref": table}}


def test_trips_knows_its_topic_and_no_more(cloud: Synthesized) -> None:
    assert variables(cloud, "Trips").keys() == {"SNS_TOPIC"}


def function_of(stack: Synthesized, service: str) -> str:
    return stack.one("AWS::Lambda::Function", f"{service}Service")[0]


def variables(stack: Synthesized, service: str) -> dict[str, Any]:
    _, function = stack.one("AWS::Lambda::Function", f"{service}Service")
    return function["Properties"]["Environment"]["Variables"]


def test_functions_are_arm_on_python_3_13_log_json_and_are_cut_off_after_ten_seconds(cloud: Synthesized) -> None:
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
def test_all_functions_are_on_the_runtime_that_is_chosen_and_so_are_their_packages(tmp_path: Path, python: str) -> None:
    # given a choice, which AWS CDK knows
    assert hasattr(lambda_.Runtime, f"PYTHON_{python.replace('.', '_')}")
    app = app_with_cdk_json(tmp_path)

    # when it is synthesized
    HolidayStack(app, "Holiday", Settings.from_context(SELF_HOSTED | {"pythonRuntime": python}))
    app.synth()

    # then
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


def test_rows_cannot_be_lost_by_a_mistake(cloud: Synthesized) -> None:
    for table in cloud.of_type("AWS::DynamoDB::Table").values():
        assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert table["Properties"]["DeletionProtectionEnabled"] is True
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}


def test_what_is_disposable_goes_with_the_stack() -> None:
    found = synthesized(SELF_HOSTED | {"disposable": "true"})

    for table in found.of_type("AWS::DynamoDB::Table").values():
        assert table["DeletionPolicy"] == "Delete"
        assert not table["Properties"]["DeletionProtectionEnabled"]
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}


def test_the_topic_is_encrypted_and_takes_messages_by_tls_only(cloud: Synthesized) -> None:
    name, topic = cloud.one("AWS::SNS::Topic", "Notices")
    ((_, policy),) = cloud.of_type("AWS::SNS::TopicPolicy").items()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]

    assert "alias/aws/sns" in str(topic["Properties"]["KmsMasterKeyId"])
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "sns:Publish", {"Ref": name})
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_notices_go_to_the_email_address_that_is_named(cloud: Synthesized, self_hosted: Synthesized) -> None:
    ((_, subscription),) = cloud.of_type("AWS::SNS::Subscription").items()

    assert (subscription["Properties"]["Protocol"], subscription["Properties"]["Endpoint"]) == (
        "email",
        "ann@example.com",
    )
    assert not self_hosted.of_type("AWS::SNS::Subscription")


def test_stuck_invocations_of_the_four_services_are_looked_for_where_alarms_go_somewhere(cloud: Synthesized) -> None:
    _, function = cloud.one("AWS::Lambda::Function", "Monitor")
    found = function["Properties"]["Environment"]["Variables"]
    services = ",".join(sorted([*ROWS, "trips"]))
    assert (found["SERVICES"], found["AUTH_TOKEN_SECRET_ARN"]) == (services, SECRET_ARN)

    # and it publishes how long bookings took
    assert (found["DURATIONS"], found["INTERVAL_SECONDS"]) == ("trips/reserve", "60")

    # both alarms call who is on call, and the one for stuck invocations says what to do
    for name in ("MonitorStuck", "MonitorNotLooking"):
        _, alarm = cloud.one("AWS::CloudWatch::Alarm", name)
        assert alarm["Properties"]["AlarmActions"] == [CLOUD["alarmTopicArn"]]
    _, stuck = cloud.one("AWS::CloudWatch::Alarm", "MonitorStuck")
    assert RUNBOOK in str(stuck["Properties"]["AlarmDescription"])

    # and without a topic, or without a key, there is no monitor
    for context in (SELF_HOSTED, SELF_HOSTED | {"alarmTopicArn": CLOUD["alarmTopicArn"], "registration": "manual"}):
        assert not synthesized(context).of_type("AWS::Events::Rule")


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_registered_is_a_published_version_that_is_kept(cloud: Synthesized, service: str) -> None:
    name, version = cloud.one("AWS::Lambda::Version", f"{service}Service")
    _, registration = cloud.one("Custom::RestateService", service)

    assert version["DeletionPolicy"] == "Retain"
    assert version["UpdateReplacePolicy"] == "Retain"
    assert registration["Properties"]["FunctionVersionArn"] == {"Ref": name}
    assert registration["Properties"]["ServiceNames"] == [service.lower()]


def test_nothing_that_restate_sees_is_latest(cloud: Synthesized) -> None:
    seen = [cloud.of_type("Custom::RestateService"), cloud.of_type("AWS::Lambda::Version"), cloud.template["Outputs"]]

    assert "$LATEST" not in json.dumps([*seen, allowed(cloud.statements("InvokerRole"))], default=list)


def test_callees_are_registered_before_trips(cloud: Synthesized) -> None:
    trips, _ = cloud.one("Custom::RestateService", "Trips")
    callees = {cloud.one("Custom::RestateService", service)[0] for service in CALLEES}

    assert callees <= cloud.needed_by(trips)


@pytest.mark.parametrize("service", SERVICES)
def test_a_registration_waits_for_every_permission_that_it_needs(cloud: Synthesized, service: str) -> None:
    registration, _ = cloud.one("Custom::RestateService", service)

    needed = " ".join(cloud.needed_by(registration))

    own = f"{service}ServiceRole"
    for policy in (f"Restate{service}ServiceInvoke", "ApiKey", "DeployerRoleDefaultPolicy", own):
        assert re.search(policy, needed)


def test_an_event_is_never_handled_after_cloudformation_has_stopped_waiting(cloud: Synthesized) -> None:
    """Lambda may hold an event back, while it is throttled, before it begins with it."""
    _, function = cloud.one("AWS::Lambda::Function", "Deployer")
    _, config = cloud.one("AWS::Lambda::EventInvokeConfig", "Deployer")
    registrations = cloud.of_type("Custom::RestateService").values()

    latest_end = config["Properties"]["MaximumEventAgeInSeconds"] + function["Properties"]["Timeout"]

    assert len(registrations) == len(SERVICES)
    for registration in registrations:
        assert latest_end < int(registration["Properties"]["ServiceTimeout"])


def test_what_a_removal_had_to_leave_can_be_read_after_the_stack_is_gone(cloud: Synthesized) -> None:
    kept = {name for name, found in cloud.of_type("AWS::Logs::LogGroup").items() if found["DeletionPolicy"] != "Delete"}

    assert kept == {cloud.one("AWS::Logs::LogGroup", "Deployer")[0]}


def test_a_registration_is_never_attempted_twice_for_one_event(cloud: Synthesized) -> None:
    _, config = cloud.one("AWS::Lambda::EventInvokeConfig", "Deployer")

    assert config["Properties"]["MaximumRetryAttempts"] == 0


def test_the_urls_of_restate_cloud_follow_from_the_environment(cloud: Synthesized) -> None:
    outputs = cloud.template["Outputs"]

    assert outputs["AdminUrl"]["Value"] == "https://201hy10cd3h6426jy80tb32n6en.env.eu.restate.cloud:9070"
    assert outputs["IngressUrl"]["Value"] == "https://201hy10cd3h6426jy80tb32n6en.env.eu.restate.cloud:8080"


def test_the_ingress_of_a_server_of_ones_own_is_taken_to_be_beside_its_admin_api(self_hosted: Synthesized) -> None:
    assert self_hosted.template["Outputs"]["IngressUrl"]["Value"] == "http://restate.example.com:8080"


def test_the_outputs_are_what_a_manual_registration_needs(cloud: Synthesized) -> None:
    versions = {f"{service}VersionArn" for service in SERVICES}
    tables = {f"{service}TableName" for service in CALLEES}

    assert cloud.template["Outputs"].keys() == versions | tables | {
        "TopicArn",
        "IngressUrl",
        "AdminUrl",
        "InvokerRoleArn",
    }


def test_the_cloud_shape_can_be_pointed_at_another_admin_api() -> None:
    """Not by context, where it would be a mistake, but by code: tests run this shape against a local server."""
    settings = Settings(
        environment_id=ENVIRONMENT_ID, auth_token_secret_arn=SECRET_ARN, admin_url="http://127.0.0.1:9070"
    )

    stack = HolidayStack(app_with_cdk_json(), "Holiday", settings)

    found = Synthesized(dict(Template.from_stack(stack).to_json()))
    assert found.template["Outputs"]["AdminUrl"]["Value"] == "http://127.0.0.1:9070"
    same = synthesized({name: value for name, value in CLOUD.items() if name != "alarmTopicArn"})
    assert found.of_type("AWS::IAM::Role").keys() == same.of_type("AWS::IAM::Role").keys()


def test_it_takes_what_cdk_s_stack_takes(tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    where = Environment(account="111122223333", region="eu-west-1")

    settings = Settings.from_context(SELF_HOSTED)
    HolidayStack(app, "Holiday", settings, env=where, tags={"team": "travel"}, termination_protection=True)

    made = app.synth().get_stack_by_name("Holiday")
    assert (made.environment.account, made.environment.region) == ("111122223333", "eu-west-1")
    assert (dict(made.tags), made.termination_protection) == ({"team": "travel"}, True)


@pytest.mark.parametrize("context", [CLOUD, SELF_HOSTED], ids=["cloud", "self-hosted"])
def test_the_aws_solutions_rules_are_kept_or_an_exception_is_argued(context: dict[str, str], tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    HolidayStack(app, "Holiday", Settings.from_context(context))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType]

    app.synth()  # raises for any finding that nobody has acknowledged


# CDK writes dependencies down twice, as a reference and as DependsOn: harmless, and not in our hands.
LINTED = ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005"])


@pytest.mark.parametrize("context", [CLOUD, SELF_HOSTED], ids=["cloud", "self-hosted"])
def test_cfn_lint_finds_nothing(context: dict[str, str]) -> None:
    assert lint(json.dumps(synthesized(context).template), config=LINTED) == []


def test_cfn_lint_is_really_asked() -> None:
    careless = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Colour": "blue"}}}}

    assert [match.rule.id for match in lint(json.dumps(careless), config=LINTED)] == ["E3002"]


def test_the_aws_solutions_rules_are_really_asked(tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    sqs.Queue(Stack(app, "Careless"), "Queue")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType]

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()
