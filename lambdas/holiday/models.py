"""What the services say to each other and to the caller, as frozen msgspec structs.

The caller's request is validated as strictly as it can be (unknown fields, nulls, wrong types, dates): a misspelt
body must never book a trip. Each refusal names the field and what is allowed.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from restate import TerminalError
from restate.serde import Serde

RunType = Literal[
    "failFlightsReservation",
    "failFlightsConfirmation",
    "failCarRentalReservation",
    "failCarRentalConfirmation",
    "failPayment",
    "failNotification",
]
RUN_TYPES: tuple[str, ...] = get_args(RunType)

TripId = Annotated[str, Meta(min_length=1, max_length=128, description="1 to 128 characters, no control characters")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Timestamp = Annotated[str, Meta(max_length=200, description="ISO 8601, for example 2021-07-07T06:00:00.000Z")]

ISO_8601 = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}(T[0-9:.,]+(Z|[+-][0-9:]+)?)?")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """The base of all messages: immutable, and closed to fields that nobody declared."""


class Booking(Message, frozen=True):
    """Names one booking of the trip that the object's key names: to confirm it, cancel it or refund it."""

    id: str
    run_type: RunType | UnsetType = UNSET

    @property
    def booking(self) -> "Booking":
        """This booking's name without what is being booked."""
        return Booking(self.id, self.run_type)


class FlightReservation(Booking, frozen=True, kw_only=True):
    """What `flights.reserve` is asked to hold, under a booking id that trips made."""

    depart_city: str
    depart_time: str
    arrive_city: str
    arrive_time: str


class CarReservation(Booking, frozen=True, kw_only=True):
    """What `cars.reserve` is asked to hold, under a booking id that trips made."""

    rental: str
    rental_from: str
    rental_to: str


class Payment(Booking, frozen=True, kw_only=True):
    """What `payments.process` takes: a decimal amount as text, never a float, and its ISO 4217 currency."""

    amount: str
    currency: str


class TripRequest(Message, frozen=True):
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
                if CONTROL_CHARACTERS.search(text):
                    raise ValueError(f"`{field}` holds a control character")
                if not text.strip():
                    raise ValueError(f"`{field}` is blank: leave it out, or write something")
        _in_order(self, "depart_time", "arrive_time")
        _in_order(self, "rental_from", "rental_to")

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


class ReserveRequest(Message, frozen=True):
    """The body of `POST /trips/reserve`."""

    request: TripRequest = msgspec.field(default_factory=TripRequest)


class TripBooked(Message, frozen=True, kw_only=True):
    """The answer to a reservation that stands."""

    status: Literal["success"] = "success"
    trip_id: str


class Notice(Message, frozen=True):
    """What is published about a trip, once. `invocation_id` is the reservation's: it tells two notices apart."""

    trip_id: str
    flight_id: str
    car_id: str
    payment_id: str
    invocation_id: str
    status: Literal["success", "failure"] = "success"
    message: str = ""

    def of_success(self) -> "Notice":
        return msgspec.structs.replace(self, message=f"Trip {self.trip_id} is booked.")

    def of_failure(self, why: str) -> "Notice":
        return msgspec.structs.replace(self, status="failure", message=why)


class Refused(Message, frozen=True):
    """Stands in for a request that could not be read: why, and what would be allowed."""

    why: str


def simulate(run_type: RunType | UnsetType, step: RunType) -> None:
    """Fail for good (TerminalError) if the caller asked for a simulated failure of this step."""
    if run_type == step:
        raise TerminalError(f"simulated, as asked for by run_type {step}", 422, {"reason": "simulated"})


def accepted(request: ReserveRequest | Refused) -> TripRequest:
    """The caller's trip, or a TerminalError 400 that says what was wrong."""
    if isinstance(request, Refused):
        raise TerminalError(request.why, 400, {"reason": "invalid"})
    return request.request


class ReserveRequestSerde(Serde[Any]):
    """Reads a request without raising: to an error in here Restate would answer 500, and the fault is the caller's."""

    def deserialize(self, buf: bytes) -> ReserveRequest | Refused:
        if not buf:
            return Refused(why="The body is empty. Send {} to book the sample trip.")
        try:
            return msgspec.json.decode(buf, type=ReserveRequest)
        except msgspec.ValidationError as error:
            return Refused(why=f"Invalid request: {str(error)[:300]}.{_allowed(str(error))}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refused(why=f"The body is not valid JSON: {error}.")

    def serialize(self, obj: ReserveRequest | None) -> bytes:
        return msgspec.json.encode(obj)


def _in_order(trip: TripRequest, start: str, end: str) -> None:
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
