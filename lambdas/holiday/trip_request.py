"""The caller's request: validated strictly, because a misspelt body must never book a trip.

Each error names the field and what is allowed, and is raised before anything is booked.
"""

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from restate import Context
from restate.serde import Serde

from holiday.failures import BookingError
from holiday.services import RUN_TYPES, TripRequest

T = TypeVar("T")

MOST_BYTES = 64 * 1024
"""The limit of a body. Lambda accepts 6 MB, and each invocation of a trip carries its whole journal, with the body."""

EXAMPLE = (
    'Every field is optional. For example: {"request": {"trip_id": "oslo", "depart_time": "2021-07-07T06:00:00.000Z"}}'
)


class ReserveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /trips/reserve`."""

    request: TripRequest = msgspec.field(default_factory=TripRequest)


class Invalid(Struct, frozen=True):
    """Replaces an invalid request: why it is invalid, and what to send instead (which `why` may say too)."""

    why: str
    hint: str


def reject_invalid(
    handler: Callable[[Context, ReserveRequest], Awaitable[T]],
) -> Callable[[Context, ReserveRequest | Invalid], Awaitable[T]]:
    """Decorate a handler to get only valid requests: the others are answered with a BookingError, status 400."""

    @wraps(handler)
    async def wrapped(ctx: Context, request: ReserveRequest | Invalid) -> T:
        if isinstance(request, Invalid):
            raise BookingError("invalid", request.why, 400, request.hint)
        return await handler(ctx, request)

    return wrapped


class ReserveRequestSerde(Serde[Any]):
    """Reads a request without raising: Restate would answer an error here with 500, but the fault is the caller's."""

    def deserialize(self, buf: bytes) -> ReserveRequest | Invalid:
        if not buf.strip():
            return _invalid("The body is empty.", "Send {} to book the sample trip.")
        if len(buf) > MOST_BYTES:
            return _invalid(f"The body has {len(buf):,} bytes.", f"At most {MOST_BYTES:,} bytes are allowed.")
        return _read(buf)

    def serialize(self, obj: ReserveRequest | None) -> bytes:
        return msgspec.json.encode(obj)

    def json_schema(self) -> dict[str, Any]:
        """The schema. Its example, which Restate's playground sends first, books the sample trip, again and again."""
        return msgspec.json.schema(ReserveRequest) | {"examples": [msgspec.to_builtins(ReserveRequest())]}


@lru_cache(maxsize=16)
def _read(body: bytes) -> ReserveRequest | Invalid:
    """Cached, because a booked trip's handler is replayed four times, with the same body each time."""
    try:
        request = msgspec.json.decode(body, type=ReserveRequest)
        json.loads(body, object_pairs_hook=_check_keys)
    except msgspec.ValidationError as error:
        return _invalid(f"Invalid request: {str(error)[:300]}.", _allowed(str(error)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _invalid(f"The body is not valid JSON: {error}.")
    return request


def _invalid(why: str, allowed: str = "") -> Invalid:
    """End the message with what is allowed, unless it says so already. The metadata has a hint in any case."""
    return Invalid(f"{why} {allowed}".strip(), allowed or EXAMPLE)


def _check_keys(pairs: list[tuple[str, object]]) -> None:
    """Reject duplicate keys: JSON allows them, and parsers disagree on which one counts."""
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise msgspec.ValidationError(f"`{key}` is given twice")
        keys.add(key)


def _allowed(error: str) -> str:
    """What would have been valid, where msgspec's message only says what was invalid."""
    if "unknown field" in error:
        fields = TripRequest.__struct_fields__ if "$.request" in error else ReserveRequest.__struct_fields__
        return f"Allowed fields: {', '.join(fields)}."
    if "run_type" in error:
        return f"Allowed run types: {', '.join(RUN_TYPES)}."
    return ""
