"""What the template registers with Restate and in which order, and the outputs for registering by hand."""

import json
import re

import pytest
from aws_cdk.assertions import Template

from holiday_stack.settings import Settings
from holiday_stack.stack import HolidayStack
from tests.stack.conftest import (
    CALLEES,
    CLOUD,
    ENVIRONMENT_ID,
    SECRET_ARN,
    SELF_HOSTED,
    SERVICES,
    Synthesized,
    allowed,
    app_with_cdk_json,
    synthesized,
)


@pytest.mark.parametrize(
    "where", [{"environmentId": ENVIRONMENT_ID, "restateRegion": "eu"}, {"adminUrl": SELF_HOSTED["adminUrl"]}]
)
def test_with_manual_registration_nothing_is_registered_and_the_outputs_are_complete(
    where: dict[str, str],
) -> None:
    # given the same stack with and without automatic registration
    key = {"authTokenSecretArn": SECRET_ARN} if "environmentId" in where else {}
    automatic, manual = synthesized(where | key), synthesized(where | {"registration": "manual"})

    # then whatever registers or may read a secret is missing, and everything else is the same
    left_out = set(automatic.template["Resources"]) - set(manual.template["Resources"])
    of_registrations = re.compile(f"Deployer|RestateApiKey|Restate({'|'.join(SERVICES)})Service")
    assert [name for name in left_out if not of_registrations.match(name)] == []
    assert len(manual.of_type("AWS::Lambda::Function")) == len(SERVICES)
    assert not manual.of_type("Custom::RestateService")
    assert "secretsmanager" not in json.dumps(manual.template)
    assert set(manual.template["Resources"]) < set(automatic.template["Resources"])

    # and so are the outputs, including the versions and the invoker role
    assert manual.template["Outputs"] == automatic.template["Outputs"]
    assert {f"{service}VersionArn" for service in SERVICES} < set(manual.template["Outputs"])


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_registered_is_a_published_and_retained_version(cloud: Synthesized, service: str) -> None:
    name, version = cloud.one("AWS::Lambda::Version", f"{service}Service")
    _, registration = cloud.one("Custom::RestateService", service)

    assert version["DeletionPolicy"] == "Retain"
    assert version["UpdateReplacePolicy"] == "Retain"
    assert registration["Properties"]["FunctionVersionArn"] == {"Ref": name}
    assert registration["Properties"]["ServiceNames"] == [service.lower()]


def test_restate_never_gets_latest(cloud: Synthesized) -> None:
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
    """While a function is throttled, Lambda may queue an event before the function handles it."""
    _, function = cloud.one("AWS::Lambda::Function", "Deployer")
    _, config = cloud.one("AWS::Lambda::EventInvokeConfig", "Deployer")
    registrations = cloud.of_type("Custom::RestateService").values()

    latest_end = config["Properties"]["MaximumEventAgeInSeconds"] + function["Properties"]["Timeout"]

    assert len(registrations) == len(SERVICES)
    for registration in registrations:
        assert latest_end < int(registration["Properties"]["ServiceTimeout"])


def test_the_registration_log_outlives_the_stack(cloud: Synthesized) -> None:
    kept = {name for name, found in cloud.of_type("AWS::Logs::LogGroup").items() if found["DeletionPolicy"] != "Delete"}

    assert kept == {cloud.one("AWS::Logs::LogGroup", "Deployer")[0]}


def test_lambda_does_not_retry_a_registration(cloud: Synthesized) -> None:
    _, config = cloud.one("AWS::Lambda::EventInvokeConfig", "Deployer")

    assert config["Properties"]["MaximumRetryAttempts"] == 0


def test_the_urls_of_restate_cloud_follow_from_the_environment(cloud: Synthesized) -> None:
    outputs = cloud.template["Outputs"]

    assert outputs["AdminUrl"]["Value"] == "https://201hy10cd3h6426jy80tb32n6en.env.eu.restate.cloud:9070"
    assert outputs["IngressUrl"]["Value"] == "https://201hy10cd3h6426jy80tb32n6en.env.eu.restate.cloud:8080"


def test_the_ingress_of_a_self_hosted_server_is_by_default_beside_its_admin_api(self_hosted: Synthesized) -> None:
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


def test_the_restate_cloud_stack_can_use_another_admin_api() -> None:
    """Only in code, for tests against a local server. In context it is rejected as a mistake."""
    settings = Settings(
        environment_id=ENVIRONMENT_ID, auth_token_secret_arn=SECRET_ARN, admin_url="http://127.0.0.1:9070"
    )

    stack = HolidayStack(app_with_cdk_json(), "Holiday", settings)

    found = Synthesized(dict(Template.from_stack(stack).to_json()))
    assert found.template["Outputs"]["AdminUrl"]["Value"] == "http://127.0.0.1:9070"
    same = synthesized({name: value for name, value in CLOUD.items() if name != "alarmTopicArn"})
    assert found.of_type("AWS::IAM::Role").keys() == same.of_type("AWS::IAM::Role").keys()
