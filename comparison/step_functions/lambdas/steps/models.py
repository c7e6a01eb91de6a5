"""What a caller may send: the contract of the Restate version, word for word."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

RunType = Literal[
    "failFlightsReservation",
    "failFlightsConfirmation",
    "failCarRentalReservation",
    "failCarRentalConfirmation",
    "failPayment",
    "failNotification",
]
RUN_TYPES: tuple[str, ...] = get_args(RunType)

TripId = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Timestamp = Annotated[str, Meta(max_length=200)]

ISO_8601 = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(T[0-9:.,]+(Z|[+-][0-9:]+)?)?")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class TripRequest(Struct, frozen=True, forbid_unknown_fields=True):
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
        for field in ("trip_id", "depart_city", "arrive_city", "rental"):
            if (text := getattr(self, field)) is not UNSET:
                if CONTROL_CHARACTERS.search(text):
                    raise ValueError(f"`{field}` holds a control character")
                if not text.strip():
                    raise ValueError(f"`{field}` is blank: leave it out, or write something")
        for start, end in (("depart_time", "arrive_time"), ("rental_from", "rental_to")):
            if _instant(end, getattr(self, end)) < _instant(start, getattr(self, start)):
                raise ValueError(f"`{end}` ({getattr(self, end)}) is before `{start}` ({getattr(self, start)})")


class ReserveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /trips/reserve`."""

    request: TripRequest = msgspec.field(default_factory=TripRequest)


class BadRequestError(Exception):
    """Says which field is wrong, and what is allowed."""


def parse(body: str) -> TripRequest:
    """The caller's trip. Raises BadRequestError."""
    if not body:
        raise BadRequestError("The body is empty. Send {} to book the sample trip.")
    try:
        return msgspec.json.decode(body, type=ReserveRequest).request
    except msgspec.ValidationError as error:
        raise BadRequestError(f"Invalid request: {str(error)[:300]}.{_allowed(str(error))}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not valid JSON: {error}.") from None


def _instant(field: str, text: str) -> datetime:
    try:
        if not ISO_8601.fullmatch(text):
            raise ValueError
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{field}` is not an ISO 8601 time such as 2021-07-07T06:00:00.000Z: {text!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _allowed(error: str) -> str:
    if "$.request.run_type" in error:
        return f" Allowed run types: {', '.join(RUN_TYPES)}."
    if "unknown field" in error:
        fields = TripRequest.__struct_fields__ if "$.request" in error else ReserveRequest.__struct_fields__
        return f" Allowed fields: {', '.join(fields)}."
    return ""
