"""The caller's request: read as strictly as it can be, because a misspelt body must never book a trip.

Each refusal names the field and what is allowed, and comes before anything is booked.
"""

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from restate import TerminalError
from restate.serde import Serde

from holiday.models import RUN_TYPES, CarReservation, FlightReservation, Payment, RunType

MOST_BYTES = 64 * 1024
"""Of a body. Lambda takes 6 MB, and every invocation of a trip carries its whole journal, the body included."""

TripId = Annotated[str, Meta(min_length=1, max_length=128, description="1 to 128 characters that can be seen")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Timestamp = Annotated[str, Meta(max_length=200, description="ISO 8601, for example 2021-07-07T06:00:00.000Z")]

ISO_8601 = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(T[0-9:.,]+(Z|[+-][0-9:]+)?)?")
JOINERS = re.compile(r"[\u200c\u200d\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Invisible, but scripts and emoji need them inside a text: joiners and variation selectors."""
BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
"""What shows nothing although its category is a letter's, a mark's or a symbol's, or not assigned yet."""


class TripRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller may choose. Everything has a default: an empty request books the sample trip."""

    trip_id: TripId | UnsetType = UNSET
    run_type: RunType | UnsetType = UNSET
    depart_city: Text = "Detroit"
    depart_time: Timestamp = "2021-07-07T06:00:00.000Z"
    arrive_city: Text = "Frankfurt"
    arrive_time: Timestamp = "2021-07-09T08:00:00.000Z"
    rental: Text = "BMW"
    rental_from: Timestamp = "2021-07-09T00:00:00.000Z"
    rental_to: Timestamp = "2021-07-17T00:00:00.000Z"

    def __post_init__(self) -> None:
        """Check what a type cannot say. A ValueError here reaches the caller as a refusal of the whole request."""
        for field in ("trip_id", "depart_city", "arrive_city", "rental"):
            if (text := getattr(self, field)) is not UNSET:
                _check_text(field, text)
        if self.trip_id is not UNSET:
            if joiner := JOINERS.search(self.trip_id):
                raise ValueError(f"`trip_id` holds U+{ord(joiner[0]):04X}, which cannot be seen")
            if self.trip_id != self.trip_id.strip():
                raise ValueError("`trip_id` begins or ends with a space")
        _check_order(self, "depart_time", "arrive_time")
        _check_order(self, "rental_from", "rental_to")

    def flight(self, booking_id: UUID) -> FlightReservation:
        return FlightReservation(
            str(booking_id),
            self.run_type,
            depart_city=self.depart_city,
            depart_time=self.depart_time,
            arrive_city=self.arrive_city,
            arrive_time=self.arrive_time,
        )

    def car(self, booking_id: UUID) -> CarReservation:
        return CarReservation(
            str(booking_id),
            self.run_type,
            rental=self.rental,
            rental_from=self.rental_from,
            rental_to=self.rental_to,
        )

    def payment(self, booking_id: UUID) -> Payment:
        """The price is not the caller's to set."""
        return Payment(str(booking_id), self.run_type, amount="750.00", currency="USD")


class ReserveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /trips/reserve`."""

    request: TripRequest = msgspec.field(default_factory=TripRequest)


class Refused(Struct, frozen=True):
    """Takes the place of a request that is not accepted: why, and what would be allowed."""

    why: str


def accepted(request: ReserveRequest | Refused) -> TripRequest:
    """The caller's trip, or a TerminalError 400 that says what was wrong."""
    if isinstance(request, Refused):
        raise TerminalError(request.why, 400, {"reason": "invalid"})
    return request.request


class ReserveRequestSerde(Serde[Any]):
    """Reads a request without raising: to an error in here Restate would answer 500, and the fault is the caller's."""

    def deserialize(self, buf: bytes) -> ReserveRequest | Refused:
        if not buf.strip():
            return Refused(why="The body is empty. Send {} to book the sample trip.")
        if len(buf) > MOST_BYTES:
            return Refused(why=f"The body has {len(buf):,} bytes. At most {MOST_BYTES:,} bytes are allowed.")
        try:
            request = msgspec.json.decode(buf, type=ReserveRequest)
            json.loads(buf, object_pairs_hook=_check_keys)
        except msgspec.ValidationError as error:
            return Refused(why=f"Invalid request: {str(error)[:300]}.{_allowed(str(error))}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refused(why=f"The body is not valid JSON: {error}.")
        return request

    def serialize(self, obj: ReserveRequest | None) -> bytes:
        return msgspec.json.encode(obj)


def _check_text(field: str, text: str) -> None:
    for character in "" if text.isascii() and text.isprintable() else text:
        category = unicodedata.category(character)
        point = ord(character)
        if category == "Cc" or category in ("Zl", "Zp"):
            raise ValueError(f"`{field}` holds a control character (U+{point:04X})")
        if JOINERS.match(character):
            continue
        if category == "Cf" or BLANK.match(character) or point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
            raise ValueError(f"`{field}` holds U+{point:04X}, which cannot be seen")
    if not JOINERS.sub("", text).strip():
        raise ValueError(f"`{field}` is blank: leave it out, or write something")


def _check_keys(pairs: list[tuple[str, object]]) -> None:
    """JSON lets a key stand twice in an object, and readers disagree on which one counts."""
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise msgspec.ValidationError(f"`{key}` is given twice")
        keys.add(key)


def _check_order(trip: TripRequest, start: str, end: str) -> None:
    if _instant(end, getattr(trip, end)) < _instant(start, getattr(trip, start)):
        raise ValueError(f"`{end}` ({getattr(trip, end)}) is before `{start}` ({getattr(trip, start)})")


def _instant(field: str, text: str) -> datetime:
    """A time without an offset is read as UTC."""
    try:
        if not ISO_8601.fullmatch(text):
            raise ValueError
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{field}` is not an ISO 8601 time such as 2021-07-07T06:00:00.000Z: {text!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _allowed(error: str) -> str:
    """What would have been right where msgspec's message only says what was wrong."""
    if "$.request.run_type" in error:
        return f" Allowed run types: {', '.join(RUN_TYPES)}."
    if "unknown field" in error:
        fields = TripRequest.__struct_fields__ if "$.request" in error else ReserveRequest.__struct_fields__
        return f" Allowed fields: {', '.join(fields)}."
    return ""
