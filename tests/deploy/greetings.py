"""A small CDK app with one service, which the same constructs register with Restate.

The registration tests use it because it deploys in a few seconds. Context sets what changes between deploys.
(`python -m tests.deploy.greetings`)
"""

import shlex
import shutil
import sys
from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import Secret

from holiday_stack import bundling
from restate_lambda_cdk import RestateCloudEnvironment, RestateServer, ServiceDeployer
from tests.deploy.variants import AlwaysFails, trust

STACK = "Greetings"
APP = f"{shlex.quote(sys.executable)} -m tests.deploy.greetings"
SERVICE = """
from datetime import timedelta

import restate

greeter = restate.Service("greeter")


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    if name == "Godot":
        await ctx.sleep(timedelta(days=365))
    return f"Hello {name}"


handler = restate.app([greeter])
"""


def written(folder: Path, service: str = SERVICE) -> dict[str, str]:
    """The context for deploying this source."""
    (folder / "greetings").mkdir(parents=True)
    (folder / "greetings" / "greeter.py").write_text(service)
    shutil.copy(bundling.LAMBDAS / "requirements.txt", folder)
    return {"lambdas": str(folder)}


def function(stack: Stack, name: str, code: lambda_.Code, handler: str, called: str | None = None) -> lambda_.Function:
    """A function with this code, whose versions are retained."""
    return lambda_.Function(
        stack,
        name,
        function_name=called,
        runtime=lambda_.Runtime.PYTHON_3_13,
        code=code,
        handler=f"greetings.greeter.{handler}",
        timeout=Duration.seconds(10),
        memory_size=256,
        current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
    )


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    stack = Stack(app, context.get("stack", STACK))
    key = Secret.from_secret_complete_arn(stack, "Key", context["secret"]) if "secret" in context else None
    where = {"admin_url": context["adminUrl"]}
    restate_id = context.get("restateId", "Restate")
    restate = (
        RestateCloudEnvironment(stack, restate_id, environment_id=context["environmentId"], api_key=key, **where)
        if "environmentId" in context
        else RestateServer(stack, restate_id, auth_token=key, **where)
    )
    if "principal" in context:
        trust(restate, context["principal"])
    if "role" in context:
        restate.invoker_role = iam.Role(
            stack,
            context["role"],
            assumed_by=iam.AccountRootPrincipal(),  # pyright: ignore[reportArgumentType]
        )
    code = bundling.package("greetings", bundling.HOST, lambdas=Path(context["lambdas"]))
    greeter = function(stack, "Greeter", lambda_.Code.from_asset(str(code)), "handler", context.get("called"))
    deployer = ServiceDeployer(stack, "Deployer", timeout=Duration.seconds(int(context.get("timeout", 300))))
    registration = deployer.register(
        greeter.current_version,
        environment=restate,
        services=context.get("services", "greeter").split(","),
        allow_breaking_changes="breaking" in context,
        take_over="take_over" in context,
        drain=Duration.seconds(int(context.get("drain", 2))),
    )
    if "fails" in context:
        AlwaysFails(stack, "Fails", after=registration)
    CfnOutput(stack, "GreeterVersionArn", value=greeter.current_version.function_arn)
    app.synth()


if __name__ == "__main__":
    main()
