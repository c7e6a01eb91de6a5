"""The messages between the services, and what happens to those of another version."""

import json
from uuid import UUID

import msgspec
import pytest

from holiday.cars import Car
from holiday.flights import Flight
from holiday.messages import Booking, Compensation, TripBooked
from holiday.notices import Notice, NoticeSerde
from holiday.payments import Payment
from holiday.serde import RetainedSerde, UnreadableMessageError
from holiday.services import TripRequest

BOOKING_ID = UUID("00000000-0000-0000-0000-000000000001")


def test_the_answer_is_as_the_contract_says() -> None:
    assert msgspec.json.encode(TripBooked(trip_id="foo")) == b'{"status":"success","trip_id":"foo"}'


@pytest.mark.parametrize(
    "message",
    [
        Booking("some", "failHotelReservation"),
        TripRequest().booking(Flight, BOOKING_ID),
        TripRequest().booking(Car, BOOKING_ID),
        TripRequest().booking(Payment, BOOKING_ID),
        Compensation("some", "confirmed"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_may_have_fields_of_another_version(message: msgspec.Struct) -> None:
    kind = type(message)
    sent = msgspec.json.encode(msgspec.to_builtins(message) | {"new": {"field": 1}})

    assert msgspec.json.decode(sent, type=kind) == message
    assert RetainedSerde(kind).deserialize(sent) == message


def test_a_compensation_has_only_fields_that_the_previous_version_knows() -> None:
    assert RetainedSerde(Compensation).serialize(Compensation("some")) == b'{"id":"some"}'


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"{", b"{}", b'{"id": 1}', b"null", b"\xff"),
        pytest.param(b'{"id": "\xff"}', id="a text that is not UTF-8"),
        pytest.param(b'{"id": "some", "new": ' + b"[" * 100_000, id="deeply nested"),
    ],
)
def test_an_unreadable_message_that_must_not_be_lost_raises_only_when_it_is_used(message: bytes) -> None:
    deserialized = RetainedSerde(Compensation).deserialize(message)

    with pytest.raises(UnreadableMessageError, match="waiting for a version that can read this message"):
        _ = deserialized.id


def test_a_notice_is_flat_and_ascii_both_as_a_message_and_as_published() -> None:
    bookings = {"flight": Booking("f"), "car": Booking("c"), "payment": Booking("p")}
    notice = Notice.about("東京✈", "inv", **bookings).of_failure("why")

    assert notice.to_json().isascii()
    assert NoticeSerde().serialize(notice).decode() == notice.to_json()
    assert json.loads(notice.to_json()) == {
        "trip_id": "東京✈",
        "flight_id": "f",
        "car_id": "c",
        "payment_id": "p",
        "invocation_id": "inv",
        "status": "failure",
        "message": "why",
    }


def test_a_notice_also_has_the_bookings_of_a_newer_version_and_ignores_other_fields() -> None:
    known = Notice.about("trip", "inv", flight=Booking("f")).of_success()
    sent = json.dumps(json.loads(known.to_json()) | {"hotel_id": "h", "new": {"field": 1}})

    read = NoticeSerde().deserialize(sent.encode())

    assert isinstance(read, Notice)
    assert json.loads(read.to_json()) == json.loads(known.to_json()) | {"hotel_id": "h"}


@pytest.mark.parametrize("message", [b"{}", b"[]", b'{"trip_id": 1}', b"\xff", b'{"trip": "of another version"}'])
def test_an_unreadable_notice_raises_only_when_it_is_used(message: bytes) -> None:
    deserialized = NoticeSerde().deserialize(message)

    with pytest.raises(UnreadableMessageError, match="waiting for a version that can read this message"):
        _ = deserialized.trip_id
