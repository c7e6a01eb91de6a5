"""A type checker accepts an app that uses the constructs, and finds what is misspelt."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

APP = """
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from restate_lambda_cdk import InvocationMonitor, RestateCloudEnvironment, RestateServer, ServiceDeployer


def build(
    stack: Stack, function: lambda_.Function, role: iam.Role, secret: secretsmanager.Secret, vpc: ec2.Vpc
) -> None:
    named = secretsmanager.Secret.from_secret_name_v2(stack, "Named", "restate")
    cloud = RestateCloudEnvironment(stack, "Cloud", environment_id="env_1", api_key=secret, invoker_role=role)
    server = RestateServer(stack, "Server", admin_url="https://restate.example.com:9070", auth_token=named)
    deployer = ServiceDeployer(
        stack,
        "Deployer",
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        security_groups=[ec2.SecurityGroup(stack, "Group", vpc=vpc)],
        role=role,
        log_group=logs.LogGroup(stack, "Logs"),
        environment_encryption=kms.Key(stack, "Key"),
        timeout=Duration.minutes(10),
        function_options=lambda_.FunctionOptions(memory_size=512),
    )
    first = deployer.register(function.current_version, environment=cloud, services=["greeter"])
    imported = lambda_.Version.from_version_arn(stack, "Imported", "arn:aws:lambda:eu-west-1:1:function:other:7")
    deployer.register(imported, environment=server, services=["other"], after=[first], take_over=True)
    monitor = InvocationMonitor(
        stack,
        "Monitor",
        environment=cloud,
        threshold=Duration.minutes(10),
        vpc=vpc,
        role=role,
        log_group=logs.LogGroup(stack, "MonitorLogs"),
    )
    monitor.metric_stuck("other").create_alarm(stack, "Stuck", threshold=10, evaluation_periods=1)


build(Stack(App(), "Stack"), *[])  # type: ignore
"""


MISSPELT = {
    "environment_id=": "enviroment_id=",
    "tion_options=lambda_": "tion_option=lambda_",
    "vpc_subnets=": "subnets=",
    "memory_size=512": "memory=512",
    "take_over=True": "takeover=True",
    "auth_token=named": "api_key=named",
    "threshold=Duration": "treshold=Duration",
}


@pytest.mark.slow
def test_strict_type_checking_accepts_cdk_s_own_classes_and_finds_what_is_misspelt(tmp_path: Path) -> None:
    # given an app, and copies with one option misspelt each
    apps = {"right": APP} | {f"wrong{number}": APP.replace(*each) for number, each in enumerate(MISSPELT.items())}
    for name, source in apps.items():
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))

    # when they are checked
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(run.stdout)["generalDiagnostics"]

    # then each misspelt line is found, and nothing else is
    lines: set[tuple[str, int]] = {(Path(each["file"]).stem, each["range"]["start"]["line"]) for each in found}
    said = [(name, apps[name].splitlines()[line]) for name, line in lines]
    assert [each for each in said if each[0] == "right"] == []
    for number, wrong in enumerate(MISSPELT.values()):
        assert [line for name, line in said if name == f"wrong{number}" and wrong in line], wrong
