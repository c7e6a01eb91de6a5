"""What the services say to each other, as frozen msgspec structs.

They are read by other versions of the code too, during a deployment and after a rollback. So unknown fields are
ignored here (only the caller's request is closed: trip_request.py), and a message whose loss would leave a trip half
booked is never refused for its form: `Kept` holds what cannot be read until a version that can read it is live.
"""

import json
from typing import Any, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType
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

Status = Literal["pending", "confirmed", "cancelled", "refunded"]

M = TypeVar("M", bound=Struct)


class Booking(Struct, frozen=True):
    """Names one booking of the trip that the object's key names: to confirm it. A run type may be a newer version's."""

    id: str
    run_type: str | UnsetType = UNSET

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


class Compensation(Struct, frozen=True, omit_defaults=True):
    """Names the booking to cancel or refund, and the status in which it is left alone. Default: it never is."""

    id: str
    spare: str = "nothing"


class TripBooked(Struct, frozen=True, kw_only=True):
    """The answer to a reservation that stands."""

    status: Literal["success"] = "success"
    trip_id: str


class Notice(Struct, frozen=True):
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

    def to_json(self) -> str:
        """As ASCII: every text that a caller may send passes through SNS and e-mail unharmed."""
        return json.dumps(msgspec.to_builtins(self))


class UnreadableMessageError(Exception):
    """A message that another version of the code sent, and that this one cannot read. Not terminal: Restate retries."""


class Unreadable:
    """Takes the place of a message that could not be read. Whatever a handler asks of it, it raises."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Any:
        raise UnreadableMessageError(f"waiting for a version that can read this message: {self._why}")


class Kept(Serde[Any], Generic[M]):
    """Reads messages of `kind` that must not be lost.

    The SDK ends an invocation for good when its input does not decode. So this never raises: what cannot be read
    becomes an `Unreadable`, the handler fails on its first use, and Restate retries until a version can read it.
    """

    def __init__(self, kind: type[M]) -> None:
        self._kind = kind

    def deserialize(self, buf: bytes) -> M | Unreadable:
        try:
            return msgspec.json.decode(buf, type=self._kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Unreadable(str(error))

    def serialize(self, obj: M | None) -> bytes:
        return msgspec.json.encode(obj)


def simulate(run_type: str | UnsetType, step: RunType) -> None:
    """Fail for good (TerminalError) if the caller asked for a simulated failure of this step."""
    if run_type == step:
        raise TerminalError(f"simulated, as asked for by run_type {step}", 422, {"reason": "simulated"})
