"""A caller and, where context says so, a service that was added for it (`python -m tests.deploy.planner`)."""

import shlex
import sys

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_

from holiday_stack.python_function import PythonFunction
from restate_lambda_cdk import RestateServer, ServiceDeployer

STACK = "Planner"
APP = f"{shlex.quote(sys.executable)} -m tests.deploy.planner"
CALLER = """
import restate

planner = restate.Service("planner")


@planner.handler()
async def plan(ctx: restate.Context, name: str) -> str:
    return f"{name} by hand"


handler = restate.app([planner])
"""
WITH_HOTELS = """
from datetime import timedelta

import restate

planner, hotels = restate.Service("planner"), restate.VirtualObject("hotels")


@hotels.handler()
async def book(ctx: restate.ObjectContext) -> str:
    name, go = ctx.awakeable()
    ctx.set("awakeable", name)
    return await go


@hotels.handler()
async def confirm(ctx: restate.ObjectContext) -> str:
    return "confirmed"


@planner.handler()
async def plan(ctx: restate.Context, name: str) -> str:
    try:
        await ctx.object_call(book, key=name, arg=None)
    except restate.TerminalError:
        await ctx.sleep(timedelta(seconds=5))
    return f"{name} {await ctx.object_call(confirm, key=name, arg=None)}"


handler = restate.app([planner])
hotels_handler = restate.app([hotels])
"""


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    stack = Stack(app, STACK)
    restate = RestateServer(stack, "Restate", admin_url=context["adminUrl"])
    deployer = ServiceDeployer(stack, "Deployer")
    code = lambda_.Code.from_asset(context["package"])

    def function(name: str, handler: str) -> PythonFunction:
        return PythonFunction(
            stack,
            name,
            description=name,
            code=code,
            handler=f"greetings.greeter.{handler}",
            timeout=Duration.seconds(10),
            memory_size=256,
        )

    callees = [
        deployer.register(
            function("Hotels", "hotels_handler").current_version,
            environment=restate,
            services=["hotels"],
            drain=Duration.seconds(int(context["drain"])),
        )
        for _ in range("hotels" in context)
    ]
    planner = function("Caller", "handler")
    deployer.register(planner.current_version, environment=restate, services=["planner"], after=callees)
    app.synth()


if __name__ == "__main__":
    main()
