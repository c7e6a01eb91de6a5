"""The greeter on Lambda, registered with Restate Cloud, or with the server at `-c adminUrl=…`, which the local cloud
sets."""

import shutil
import sys
from pathlib import Path

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import Secret

from restate_lambda_cdk import RestateCloudEnvironment, RestateServer, ServiceDeployer

app = App()
stack = Stack(app, "Greeter")

if admin_url := app.node.try_get_context("adminUrl"):
    package = "build/local"
    restate = RestateServer(stack, "Restate", admin_url=admin_url)
else:
    package = "build/lambda"
    restate = RestateCloudEnvironment(
        stack,
        "Restate",
        environment_id=app.node.try_get_context("environmentId"),
        api_key=Secret.from_secret_name_v2(stack, "ApiKey", "restate-api-key"),
        region=app.node.try_get_context("region") or "us",
    )
    CfnOutput(stack, "IngressUrl", value=restate.ingress_url)

if not Path(package, "restate").exists():
    sys.exit(f"{package} is empty: install into it the dependencies in pyproject.toml, as README.md shows.")
shutil.copytree("greeter", f"{package}/greeter", dirs_exist_ok=True)
function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_13,
    architecture=lambda_.Architecture.ARM_64,
    code=lambda_.Code.from_asset(package, exclude=["bin", "**/__pycache__"]),
    handler="greeter.greeter.handler",
)

deployer = ServiceDeployer(stack, "Deployer")
deployer.register(function.current_version, environment=restate, services=["greeter"])

app.synth()
