"""What the services say to each other, as frozen msgspec structs.

They are read by other versions of the code too, during a deployment and after a rollback, so unknown fields are ignored
(only the caller's request is closed: trip_request.py). What each service is asked to book is in that service's module.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType


class Booking(Struct, frozen=True):
    """Names one booking of the trip that the object's key names: to confirm it. A run type may be a newer version's."""

    id: Annotated[str, Meta(description="The booking's id, which trips made.")]
    run_type: Annotated[str, Meta(description="The failure to simulate, if any.")] | UnsetType = UNSET

    @property
    def booking(self) -> "Booking":
        """This booking's name without what is being booked."""
        return Booking(self.id, self.run_type)

    @property
    def attributes(self) -> dict[str, str]:
        """What is being booked without the booking's name."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in Booking.__struct_fields__}


class Compensation(Struct, frozen=True, omit_defaults=True):
    """Names the booking to cancel or refund, and the status in which it is left alone. Default: it never is."""

    id: Annotated[str, Meta(description="The booking's id, which trips made.")]
    spare: Annotated[str, Meta(description="The status in which the booking is left alone.")] = "nothing"


class TripBooked(Struct, frozen=True, kw_only=True):
    """The answer to a reservation that stands."""

    status: Annotated[Literal["success"], Meta(description="A trip that is not booked is answered by an error.")] = (
        "success"
    )
    trip_id: Annotated[str, Meta(description="The caller's trip id, or the one that was made.")]
