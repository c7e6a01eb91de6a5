"""A small CDK app beside the holiday's: one service, introduced to Restate by the same constructs.

The deploy tests that are about registration alone use it, because it deploys in a few seconds. Context says what is
different from one deploy to the next (`python -m tests.deploy.greetings`).
"""

import shlex
import shutil
import sys
from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from holiday_stack import bundling
from holiday_stack.restate_environment import RestateEnvironment
from holiday_stack.restate_service import RestateService
from holiday_stack.service_registration import ServiceRegistration
from restate_lambda_cdk import HANDLER
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
    """The context that deploys this source."""
    (folder / "greetings").mkdir(parents=True)
    (folder / "greetings" / "greeter.py").write_text(service)
    shutil.copy(bundling.LAMBDAS / "requirements.txt", folder)
    return {"lambdas": str(folder)}


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    stack = Stack(app, STACK)
    restate = RestateEnvironment(
        stack,
        "Restate",
        registration_code=lambda_.Code.from_asset(str(HANDLER), exclude=["**/__pycache__"]),
        environment_id=context.get("environment"),
        admin_url=context["adminUrl"],
        auth_token_secret_arn=context.get("secret"),
        patience=Duration.seconds(int(context.get("patience", 300))),
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
    greeter = RestateService(
        stack,
        "Greeter",
        environment=restate,
        name="greeter",
        code=lambda_.Code.from_asset(str(code)),
        handler="greetings.greeter.handler",
    )
    registration = ServiceRegistration(
        stack,
        "GreeterRegistration",
        environment=restate,
        service=greeter,
        allow_breaking_changes="breaking" in context,
        drain=Duration.seconds(2),
    )
    if "fails" in context:
        AlwaysFails(stack, "Fails", after=registration)
    CfnOutput(stack, "GreeterVersionArn", value=greeter.version.function_arn)
    app.synth()


if __name__ == "__main__":
    main()
