"""What Restate knows of a handler: its service, its name (`flights.reserve`) and the schema of its input."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast, runtime_checkable

import restate
from restate.handler import Handler, handler_from_callable

AnyHandler = Callable[[Any, Any], Awaitable[None]]


@runtime_checkable
class Described(Protocol):
    """A serde that knows the JSON schema of what it reads."""

    def json_schema(self) -> dict[str, Any]: ...


def describe_inputs(service: restate.Service) -> None:
    """Have service discovery take input schemas from `Described` serdes: the SDK derives them only from types."""
    handlers = cast(dict[str, Handler[Any, Any]], service.handlers)  # pyright: ignore[reportUnknownMemberType]
    for io in (handler.handler_io for handler in handlers.values()):
        if io.input_type and isinstance(io.input_serde, Described):
            io.input_type.generate_json_schema = io.input_serde.json_schema


def service_of(handler: AnyHandler) -> str:
    return handler_from_callable(handler).service_tag.name


def name_of(handler: AnyHandler) -> str:
    return f"{service_of(handler)}.{handler_from_callable(handler).name}"
