"""A Restate service with one handler."""

import restate

greeter = restate.Service("greeter")


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    """Greet someone by name."""
    return f"Hello {name}"


handler = restate.app([greeter])
