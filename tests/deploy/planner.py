"""A caller and, where context says so, a service that was added for it (`python -m tests.deploy.planner`)."""

import shlex
import sys
import uuid
from pathlib import Path

import httpx
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import Secret

from demo.cloud import HolidayCloud
from holiday_stack import bundling
from localcloud.cloud import LocalCloud
from restate_lambda_cdk import RestateCloudEnvironment, RestateServer, ServiceDeployer
from tests.deploy import greetings
from tests.deploy.state import awakeable
from tests.deploy.variants import trust
from tests.driver import eventually

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


async def hold(ctx: restate.ObjectContext, step: str) -> None:
    if ctx.key().endswith(step):
        name, go = ctx.awakeable()
        ctx.set("awakeable", name)
        await go


@hotels.handler()
async def book(ctx: restate.ObjectContext) -> None:
    await hold(ctx, "book")


@hotels.handler()
async def confirm(ctx: restate.ObjectContext) -> None:
    await hold(ctx, "confirm")


@hotels.handler()
async def cancel(ctx: restate.ObjectContext) -> None:
    await hold(ctx, "cancel")


@planner.handler()
async def plan(ctx: restate.Context, name: str) -> str:
    try:
        await ctx.object_call(book, key=name, arg=None)
    except restate.TerminalError:
        await ctx.sleep(timedelta(seconds=5))
    end = cancel if name.endswith("cancel") else confirm
    await ctx.object_call(end, key=name, arg=None)
    return f"{name}: {end.__name__} is done"


handler = restate.app([planner])
hotels_handler = restate.app([hotels])
"""


HELD = {  # in each step, and what comes of it
    "Oslo, held in book": "Oslo, held in book: confirm is done",
    "Rome, held in confirm": "Rome, held in confirm: confirm is done",
    "Bern, held in cancel": "Bern, held in cancel: cancel is done",
}


def deploy(cloud: HolidayCloud, folder: Path, drain: str = "", **context: str) -> None:
    """Deploy the caller, with the service that it calls, and how long that one's removal waits, or without."""
    sources = Path(greetings.written(folder / uuid.uuid4().hex, WITH_HOTELS if drain else CALLER)["lambdas"])
    package = bundling.package("greetings", bundling.HOST, lambdas=sources)
    added = {"hotels": "yes", "drain": drain} if drain else {}
    cloud.deploy({"package": str(package)} | added | context, APP, STACK)


def plan(cloud: LocalCloud, name: str) -> str:
    """Begin a plan that is held up in the step that its name ends with, and return its invocation's id."""
    sent = httpx.post(f"{cloud.ingress_url}/planner/plan/send", json=name, timeout=60, trust_env=False)
    assert eventually(lambda: awakeable(cloud, name), bool), "it is not held up"
    return sent.raise_for_status().json()["invocationId"]


def answer(cloud: LocalCloud, invocation: str) -> str:
    """Wait for what a plan ends with."""
    url = f"{cloud.ingress_url}/restate/invocation/{invocation}/attach"
    return httpx.get(url, timeout=60, trust_env=False).json()


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    stack = Stack(app, STACK)
    where = {"admin_url": context["adminUrl"]}
    if "environment" in context:
        key = Secret.from_secret_complete_arn(stack, "Key", context["secret"])
        restate = RestateCloudEnvironment(stack, "Restate", environment_id=context["environment"], api_key=key, **where)
        trust(restate, context["principal"])
    else:
        restate = RestateServer(stack, "Restate", **where)
    deployer = ServiceDeployer(stack, "Deployer")
    code = lambda_.Code.from_asset(context["package"])

    callees = [
        deployer.register(
            greetings.function(stack, "Hotels", code, "hotels_handler").current_version,
            environment=restate,
            services=["hotels"],
            drain=Duration.seconds(int(context["drain"])),
        )
        for _ in range("hotels" in context)
    ]
    planner = greetings.function(stack, "Caller", code, "handler")
    deployer.register(planner.current_version, environment=restate, services=["planner"], after=callees)
    app.synth()


if __name__ == "__main__":
    main()
