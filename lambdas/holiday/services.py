"""What a trip is made of: the services that book its parts, a row each, and what a caller may choose of each part.

All that goes through the services derives from these rows: run types, the tables' names, what a compensation spares,
`local.py`, the demo, and what the tests expect. trips itself does not: there each step is written out.
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

    name: of the service, its module and its virtual object. booking: what one of its bookings is called; a notice names
    it as `<booking>_id`. steps: its forward steps in their order, each with the run type that makes it fail; the last
    one leaves the booking confirmed. compensation: the handler that compensates them. compensated: the status in which
    that leaves the booking.
    """

    name: str
    booking: str
    steps: Mapping[str, str]
    compensation: str = "cancel"
    compensated: str = "cancelled"

    @property
    def table_variable(self) -> str:
        """The environment variable that names its table."""
        return f"{self.name.upper()}_TABLE_NAME"

    @property
    def reserved(self) -> str:
        """The status that the first step gives a booking: pending until a later step confirms it."""
        return "pending" if len(self.steps) > 1 else "confirmed"

    @property
    def spared(self) -> str:
        """The status that a compensation leaves alone until the first step is done.

        What is confirmed before it was reserved is an earlier run's of the same idempotency key. But a service that
        confirms in its first step may have done so before that was cut off: it spares nothing.
        """
        return "confirmed" if len(self.steps) > 1 else "nothing"


_ROWS = (
    Service("flights", "flight", {"reserve": "failFlightsReservation", "confirm": "failFlightsConfirmation"}),
    Service("cars", "car", {"reserve": "failCarRentalReservation", "confirm": "failCarRentalConfirmation"}),
    Service("payments", "payment", {"process": "failPayment"}, compensation="refund", compensated="refunded"),
)
SERVICES = {row.name: row for row in _ROWS}
"""By name, in the order in which trips books. It compensates in the reverse order."""

RUN_TYPES = {
    **{run_type: f"{row.name}.{step}" for row in _ROWS for step, run_type in row.steps.items()},
    "failNotification": "trips.notify",
}
"""Each run type and the step that it makes fail."""

RunType = Annotated[
    str,
    Meta(
        description="Simulates a failure at one step, to see the rest compensated. Leave it out to book the trip.",
        extra_json_schema={"enum": [*RUN_TYPES]},
    ),
]


class TripRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller may choose: an empty request books the sample trip. Times are ISO 8601; without an offset, UTC."""

    trip_id: Annotated[TripId, Meta(description="Names the trip. Leave it out to have one made.")] | UnsetType = UNSET
    run_type: RunType | UnsetType = UNSET
    depart_city: Annotated[Text, Meta(description="City of departure.")] = "Detroit"
    depart_time: Annotated[Timestamp, Meta(description="Departure.")] = "2021-07-07T06:00:00.000Z"
    arrive_city: Annotated[Text, Meta(description="City of arrival.")] = "Frankfurt"
    arrive_time: Annotated[Timestamp, Meta(description="Not before `depart_time`.")] = "2021-07-09T08:00:00.000Z"
    rental: Annotated[Text, Meta(description="The car.")] = "BMW"
    rental_from: Annotated[Timestamp, Meta(description="When the rental begins.")] = "2021-07-09T00:00:00.000Z"
    rental_to: Annotated[Timestamp, Meta(description="Its end, not before `rental_from`.")] = "2021-07-17T00:00:00.000Z"

    # The price is not the caller's to set.
    amount: ClassVar[str] = "750.00"
    currency: ClassVar[str] = "USD"

    def __post_init__(self) -> None:
        """Check what a type cannot say. A ValueError here reaches the caller as a refusal of the whole request."""
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
        """What a service is asked to book of this trip, under this id."""
        chosen = {name: getattr(self, name) for name in kind.__struct_fields__ if name != "id"}
        return kind(id=str(booking_id), **chosen)
