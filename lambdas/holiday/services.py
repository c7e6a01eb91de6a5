"""The services that book the parts of a trip, one row each, and what a caller may choose.

Everything that loops over the services uses these rows: run types, table names, what a compensation spares, `local.py`,
the demo and what the tests expect. trips does not: it spells out each step.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from holiday.messages import Booking
from holiday.patterns import Text, Timestamp, TripId, check_id, check_order, check_text

B = TypeVar("B", bound=Booking)


class Service(Struct, frozen=True):
    """One row.

    Args:
        name: of the service, its module and its virtual object.
        booking: what one booking is called. In a notice, its id is `<booking>_id`.
        steps: the forward steps in order, each with the run type that makes it fail. The last confirms the booking.
        compensation: the handler that compensates the steps.
        compensated: the booking's status after that.
    """

    name: str
    booking: str
    steps: Mapping[str, str]
    compensation: str = "cancel"
    compensated: str = "cancelled"

    @property
    def table_variable(self) -> str:
        """The environment variable with the table's name."""
        return f"{self.name.upper()}_TABLE_NAME"

    @property
    def reserved(self) -> str:
        """A booking's status after the first step: pending if a later step confirms it."""
        return "pending" if len(self.steps) > 1 else "confirmed"

    @property
    def spared(self) -> str:
        """The status that a compensation leaves alone until the first step is done.

        A booking that is confirmed before this run reserved it belongs to an earlier run with the same idempotency key.
        But a service whose first step confirms may have done so before the step was interrupted: it spares nothing.
        """
        return "confirmed" if len(self.steps) > 1 else "nothing"


_ROWS = (
    Service("flights", "flight", {"reserve": "failFlightsReservation", "confirm": "failFlightsConfirmation"}),
    Service("cars", "car", {"reserve": "failCarRentalReservation", "confirm": "failCarRentalConfirmation"}),
    Service("payments", "payment", {"process": "failPayment"}, compensation="refund", compensated="refunded"),
)
SERVICES = {row.name: row for row in _ROWS}
"""By name, in the order in which trips books them. It compensates them in reverse."""

RUN_TYPES = {
    **{run_type: f"{row.name}.{step}" for row in _ROWS for step, run_type in row.steps.items()},
    "failNotification": "trips.notify",
}
"""The step that each run type makes fail."""

RunType = Annotated[
    str,
    Meta(
        description="Simulates a failure at one step, to see the rest compensated. Leave it out to book the trip.",
        extra_json_schema={"enum": [*RUN_TYPES]},
    ),
]


class TripRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller may choose: an empty request books the sample trip. Times are ISO 8601; without an offset, UTC."""

    trip_id: Annotated[TripId, Meta(description="The trip's id. Generated if left out.")] | UnsetType = UNSET
    run_type: RunType | UnsetType = UNSET
    depart_city: Annotated[Text, Meta(description="City of departure.")] = "Detroit"
    depart_time: Annotated[Timestamp, Meta(description="Departure.")] = "2021-07-07T06:00:00.000Z"
    arrive_city: Annotated[Text, Meta(description="City of arrival.")] = "Frankfurt"
    arrive_time: Annotated[Timestamp, Meta(description="Not before `depart_time`.")] = "2021-07-09T08:00:00.000Z"
    rental: Annotated[Text, Meta(description="The car.")] = "BMW"
    rental_from: Annotated[Timestamp, Meta(description="When the rental begins.")] = "2021-07-09T00:00:00.000Z"
    rental_to: Annotated[Timestamp, Meta(description="Its end, not before `rental_from`.")] = "2021-07-17T00:00:00.000Z"

    # Callers cannot set the price.
    amount: ClassVar[str] = "750.00"
    currency: ClassVar[str] = "USD"

    def __post_init__(self) -> None:
        """Check what types cannot express. A ValueError rejects the whole request."""
        for field in self.__struct_fields__:
            if (text := getattr(self, field)) is not UNSET:
                check_text(field, text)
        if self.trip_id is not UNSET:
            check_id("trip_id", self.trip_id)
        if self.run_type is not UNSET and self.run_type not in RUN_TYPES:
            raise ValueError(f"`run_type` is unknown: {self.run_type!r}")
        check_order(self, "depart_time", "arrive_time")
        check_order(self, "rental_from", "rental_to")

    def booking(self, kind: type[B], booking_id: UUID) -> B:
        """The message that books one part of this trip, under this id."""
        chosen = {name: getattr(self, name) for name in kind.__struct_fields__ if name != "id"}
        return kind(id=str(booking_id), **chosen)
