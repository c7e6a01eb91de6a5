"""What is published about a trip: a flat JSON object, the same between the services and for subscribers.

Each booking has its own field (`flight_id`), so a new service adds a field and changes none. An `_id` field that this
version does not know is published too: it is the booking of a newer version's service.
"""

import json
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from holiday.messages import Booking
from holiday.serde import RetainedSerde


class Notice(Struct, frozen=True):
    """What is published about a trip, once."""

    trip_id: Annotated[str, Meta(description="The trip.")]
    booking_ids: dict[str, str]
    invocation_id: Annotated[
        str, Meta(description="The reservation's invocation: it tells two notices of one trip apart.")
    ]
    status: Annotated[Literal["success", "failure"], Meta(description="Whether the trip is booked.")] = "success"
    message: Annotated[str, Meta(description="The outcome in words, with the reason for a failure.")] = ""

    @classmethod
    def about(cls, trip_id: str, invocation_id: str, **bookings: Booking) -> "Notice":
        return cls(trip_id, {f"{name}_id": booking.id for name, booking in bookings.items()}, invocation_id)

    def of_success(self) -> "Notice":
        return structs.replace(self, message=f"Trip {self.trip_id} is booked.")

    def of_failure(self, why: str) -> "Notice":
        return structs.replace(self, status="failure", message=why)

    def to_json(self) -> str:
        """As ASCII, so that any text from a caller survives SNS and e-mail."""
        fields: dict[str, str] = {}
        for name, value in structs.asdict(self).items():
            fields |= value if name == "booking_ids" else {name: value}
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: bytes) -> "Notice":
        """Raises msgspec.MsgspecError."""
        fields = msgspec.json.decode(text, type=dict[str, Any])
        ids = {name: value for name, value in fields.items() if name.endswith("_id") and name not in OWN_FIELDS}
        return msgspec.convert(fields | {"booking_ids": ids}, cls)


OWN_FIELDS = {*Notice.__struct_fields__}


class NoticeSerde(RetainedSerde[Notice]):
    """Reads and writes a notice as it is published."""

    def __init__(self) -> None:
        super().__init__(Notice)

    def read(self, buf: bytes) -> Notice:
        return Notice.from_json(buf)

    def serialize(self, obj: Notice | None) -> bytes:
        assert obj
        return obj.to_json().encode()

    def json_schema(self) -> dict[str, Any]:
        schema = msgspec.json.schema(Notice)
        flat = schema["$defs"]["Notice"]
        flat["patternProperties"] = {"_id$": {"type": "string", "description": "The id of one booking of the trip."}}
        flat["required"].remove("booking_ids")
        del flat["properties"]["booking_ids"]
        return schema
