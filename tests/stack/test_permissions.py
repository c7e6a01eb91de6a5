"""The template's permissions, and that it contains no secret."""

import json
from typing import Any

import pytest

from tests.stack.conftest import (
    CALLEES,
    CLOUD,
    ENVIRONMENT_ID,
    LOGS,
    SECRET_ARN,
    SERVICES,
    Synthesized,
    allowed,
    function_of,
    listed,
    synthesized,
    variables,
)


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
        return sorted(str(one) for each in found for one in listed(each))

    assert {each["Action"] for each in statements} == {"lambda:InvokeFunction"}
    assert resources("Allow") == sorted(map(str, qualified(":*")))
    assert resources("Deny") == sorted(map(str, qualified(":$LATEST")))


def test_another_environment_gets_another_role_so_that_the_old_one_stays_until_the_move_is_complete(
    cloud: Synthesized,
) -> None:
    moved = synthesized(CLOUD | {"environmentId": "env_another"})

    assert cloud.one("AWS::IAM::Role", "InvokerRole")[0] != moved.one("AWS::IAM::Role", "InvokerRole")[0]


def test_a_self_hosted_server_gets_no_role(self_hosted: Synthesized) -> None:
    assert not [name for name in self_hosted.of_type("AWS::IAM::Role") if "Invoker" in name]
    assert "InvokerRoleArn" not in self_hosted.template["Outputs"]


@pytest.mark.parametrize("service", CALLEES)
def test_a_leaf_may_use_only_its_own_actions_on_its_own_table(cloud: Synthesized, service: str) -> None:
    table, _ = cloud.one("AWS::DynamoDB::Table", service)
    only_the_gate_reads = {"Query"} if service == "Flights" else set[str]()

    found = allowed(cloud.statements(f"{service}Service"))

    actions = {f"dynamodb:{action}" for action in ("PutItem", "UpdateItem", *only_the_gate_reads)}
    assert found == [(actions, {"Fn::GetAtt": [table, "Arn"]})]


def test_trips_may_only_publish_to_the_topic(cloud: Synthesized) -> None:
    topic, _ = cloud.one("AWS::SNS::Topic", "Notices")

    assert allowed(cloud.statements("TripsService")) == [({"sns:Publish"}, {"Ref": topic})]


@pytest.mark.parametrize("service", [*SERVICES, "Deployer"])
def test_a_function_logs_to_its_own_log_group_only(cloud: Synthesized, service: str) -> None:
    log_group, _ = cloud.one("AWS::Logs::LogGroup", service)
    (logging,) = (each for each in cloud.statements(service) if {*listed(each["Action"])} == LOGS)

    assert logging["Resource"] == {"Fn::GetAtt": [log_group, "Arn"]}


def test_the_registration_function_may_only_read_its_secret_and_the_versions_configuration(
    cloud: Synthesized, self_hosted: Synthesized
) -> None:
    secret = ({"secretsmanager:GetSecretValue"}, SECRET_ARN)
    for stack, expected in ((cloud, [secret]), (self_hosted, [])):
        others = [each for each in allowed(stack.statements("Deployer")) if each not in expected]

        versions = [{"Fn::Join": ["", [{"Fn::GetAtt": [function_of(stack, each), "Arn"]}, ":*"]]} for each in SERVICES]
        assert len(others) == len(allowed(stack.statements("Deployer"))) - len(expected)
        assert sorted(map(str, others)) == sorted(str(({"lambda:GetFunctionConfiguration"}, each)) for each in versions)


def test_no_secret_value_is_anywhere_in_the_template(cloud: Synthesized) -> None:
    text = json.dumps(cloud.template)

    assert "{{resolve:" not in text
    assert "AWS::SecretsManager" not in text
    for service in SERVICES:
        assert "SECRET" not in str(variables(cloud, service)).upper()
