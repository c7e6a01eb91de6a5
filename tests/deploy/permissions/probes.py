"""What the tests of permissions send."""

from tests.expectations import TABLES

MAY = {
    **{table: {("put_item", table), ("update_item", table)} for table in TABLES.values()},
    "Trips": {("publish", "Notices")},
}

MAY["Flights"] |= {("query", "Flights")}

ITEM = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}

WAITS = """
import restate

greeter = restate.VirtualObject("greeter")


@greeter.handler()
async def greet(ctx: restate.ObjectContext) -> str:
    name, go = ctx.awakeable()
    ctx.set("awakeable", name)
    await go
    return f"Hello {ctx.key()}"


handler = restate.app([greeter])
"""
