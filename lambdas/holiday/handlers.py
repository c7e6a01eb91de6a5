"""What Restate calls a handler: `flights.reserve`, of the service `flights`."""

from collections.abc import Awaitable, Callable
from typing import Any

from restate.handler import handler_from_callable

AnyHandler = Callable[[Any, Any], Awaitable[None]]


def service_of(handler: AnyHandler) -> str:
    return handler_from_callable(handler).service_tag.name


def name_of(handler: AnyHandler) -> str:
    return f"{service_of(handler)}.{handler_from_callable(handler).name}"
