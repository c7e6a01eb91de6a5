"""What a caller may send, and the message of each error. The same errors over HTTP are in tests/saga."""

import asyncio
from typing import cast
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET
from restate import Context

from holiday.cars import Car
from holiday.failures import BookingError
from holiday.flights import Flight
from holiday.payments import Payment
from holiday.services import RUN_TYPES, TripRequest
from holiday.trip_request import MOST_BYTES, ReserveRequest, ReserveRequestSerde, reject_invalid

serde = ReserveRequestSerde()
BOOKING_ID = UUID("00000000-0000-0000-0000-000000000001")


@reject_invalid
async def handler(_ctx: Context, request: ReserveRequest) -> TripRequest:
    return request.request


def read(body: str | bytes) -> TripRequest:
    """What a handler receives for this body."""
    request = serde.deserialize(body.encode() if isinstance(body, str) else body)

    async def given() -> TripRequest:
        return await handler(cast(Context, None), request)

    return asyncio.run(given())


def refusal_of(body: str | bytes) -> str:
    with pytest.raises(BookingError) as refused:
        read(body)
    assert refused.value.status_code == 400
    metadata = refused.value.metadata or {}
    assert (list(metadata), metadata["reason"], bool(metadata["hint"])) == (["reason", "hint"], "invalid", True)
    return refused.value.message


@pytest.mark.parametrize("body", ["{}", '{"request": {}}'])
def test_an_empty_request_is_the_sample_trip(body: str) -> None:
    trip = read(body)
    assert trip == TripRequest(
        trip_id=UNSET,
        run_type=UNSET,
        depart_city="Detroit",
        depart_time="2021-07-07T06:00:00.000Z",
        arrive_city="Frankfurt",
        arrive_time="2021-07-09T08:00:00.000Z",
        rental="BMW",
        rental_from="2021-07-09T00:00:00.000Z",
        rental_to="2021-07-17T00:00:00.000Z",
    )


def test_the_caller_cannot_set_the_price() -> None:
    payment = read("{}").booking(Payment, BOOKING_ID)
    assert (payment.id, payment.amount, payment.currency) == (str(BOOKING_ID), "750.00", "USD")


def test_the_flight_gets_the_flight_s_fields_and_the_car_the_car_s() -> None:
    trip = read('{"request": {"depart_city": "Oslo", "rental": "Volvo", "run_type": "failPayment"}}')
    assert msgspec.to_builtins(trip.booking(Flight, BOOKING_ID)) == {
        "id": str(BOOKING_ID),
        "run_type": "failPayment",
        "depart_city": "Oslo",
        "depart_time": "2021-07-07T06:00:00.000Z",
        "arrive_city": "Frankfurt",
        "arrive_time": "2021-07-09T08:00:00.000Z",
    }
    assert msgspec.to_builtins(trip.booking(Car, BOOKING_ID)) == {
        "id": str(BOOKING_ID),
        "run_type": "failPayment",
        "rental": "Volvo",
        "rental_from": "2021-07-09T00:00:00.000Z",
        "rental_to": "2021-07-17T00:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("", ["empty", "{}"], id="empty body"),
        pytest.param("{", ["JSON"], id="malformed JSON"),
        pytest.param("{} {}", ["JSON"], id="two documents"),
        pytest.param(b"\xff", ["JSON"], id="not UTF-8"),
        pytest.param(b'{"request": {"trip_id": "\xff"}}', ["JSON"], id="a text that is not UTF-8"),
        pytest.param('{"request": {"trip_id": "\\ud800"}}', ["JSON"], id="lone surrogate"),
        pytest.param('{"request": {"foo": ' + "[" * 60_000, ["foo", "depart_city"], id="deeply nested"),
        pytest.param("[]", ["object", "array"], id="an array"),
        pytest.param("null", ["object", "null"], id="null"),
        pytest.param('"x"', ["object", "str"], id="a string"),
        pytest.param('{"request": null}', ["$.request", "object"], id="request is null"),
        pytest.param('{"trip_id": "foo"}', ["trip_id", "Allowed fields: request"], id="field at the wrong level"),
        pytest.param(
            '{"request": {"tripid": "foo"}}', ["tripid", "trip_id, run_type, depart_city"], id="misspelt field"
        ),
        pytest.param('{"request": {"amount": "1.00"}}', ["amount", "Allowed fields"], id="the price"),
        pytest.param('{"request": {"run_type": "failEverything"}}', ["failEverything", *RUN_TYPES], id="run type"),
        pytest.param('{"request": {"run_type": 1}}', ["run_type", "int", *RUN_TYPES], id="run type of a wrong type"),
        pytest.param('{"request": {"trip_id": ""}}', ["trip_id", ">= 1"], id="empty trip id"),
        pytest.param(f'{{"request": {{"trip_id": "{"x" * 129}"}}}}', ["trip_id", "128"], id="trip id too long"),
        pytest.param('{"request": {"trip_id": null}}', ["trip_id", "null"], id="trip id is null"),
        pytest.param('{"request": {"trip_id": "a\\nb"}}', ["trip_id", "control"], id="control character"),
        pytest.param('{"request": {"trip_id": "a\\u2028b"}}', ["trip_id", "control"], id="line separator"),
        pytest.param('{"request": {"trip_id": " "}}', ["trip_id", "blank"], id="blank trip id"),
        pytest.param('{"request": {}, "request": {}}', ["`request`", "twice"], id="a key twice"),
        pytest.param('{"request": {"rental": "a", "rental": "b"}}', ["`rental`", "twice"], id="a field twice"),
        pytest.param('{"request": {"rental": "a", "rent\\u0061l": "b"}}', ["twice"], id="a field twice, escaped"),
        pytest.param(f'{{"request": {{}}}}{" " * MOST_BYTES}', ["65,536 bytes", "65,551"], id="body too large"),
        pytest.param('{"request": {"trip_id": " foo"}}', ["trip_id", "begin or end"], id="space before a trip id"),
        pytest.param('{"request": {"trip_id": "foo\u3000"}}', ["trip_id", "begin or end"], id="space after one"),
        pytest.param(" \n ", ["empty", "{}"], id="only white space"),
        pytest.param('{"request": {"trip_id": "foo\u200d"}}', ["trip_id", "U+200D"], id="joiner in a trip id"),
        pytest.param('{"request": {"trip_id": "foo\ufe0f"}}', ["trip_id", "U+FE0F"], id="selector in a trip id"),
        pytest.param('{"request": {"rental": "\u200d\ufe0f "}}', ["rental", "blank"], id="only joiners"),
        pytest.param('{"request": {"depart_city": 7}}', ["depart_city", "int"], id="wrong type"),
        pytest.param(f'{{"request": {{"rental": "{"x" * 201}"}}}}', ["rental", "200"], id="text too long"),
        pytest.param(
            f'{{"request": {{"rental_to": "2021-07-17T06:00:00.{"0" * 200}"}}}}',
            ["rental_to", "200"],
            id="time too long",
        ),
        pytest.param('{"request": {"depart_time": "yesterday"}}', ["depart_time", "ISO 8601"], id="not a date"),
        pytest.param('{"request": {"rental_to": "2021-02-30"}}', ["rental_to", "ISO 8601"], id="no such day"),
        pytest.param('{"request": {"arrive_time": "2021-07-09 08:00"}}', ["arrive_time", "ISO 8601"], id="no T"),
        pytest.param('{"request": {"depart_time": "2021-07-06T06,5"}}', ["depart_time", "ISO 8601"], id="half hours"),
        pytest.param('{"request": {"depart_time": "2021-07-06T06+00:99"}}', ["depart_time", "ISO 8601"], id="offset"),
        pytest.param('{"request": {"arrive_time": 1625724000}}', ["arrive_time", "int"], id="epoch seconds"),
        pytest.param(
            '{"request": {"arrive_time": "2021-07-07T07:00:00+02:00"}}',
            ["arrive_time", "depart_time"],
            id="arrives early",
        ),
        pytest.param('{"request": {"rental_from": "2022-01-01"}}', ["rental_to", "rental_from"], id="returned early"),
    ],
)
def test_a_bad_request_is_refused_with_a_helpful_message(body: str | bytes, words: list[str]) -> None:
    message = refusal_of(body)
    assert [word for word in words if word not in message] == []
    assert "Traceback" not in message


@pytest.mark.parametrize("field", ["trip_id", "depart_city", "rental"])
@pytest.mark.parametrize(
    "character",
    [
        *("\u200b", "\ufeff", "\u2060", "\u00ad", "\u180e", "\U000e0041"),  # invisible
        *("\u3164", "\u115f", "\uffa0", "\u2800", "\u034f"),  # letters, marks and a symbol that are invisible
        *("\u2065", "\ufff0", "\ufff8", "\U000e0000", "\U000e0080", "\U000e0fff"),  # invisible, although unassigned
        *("\u202e", "\u2066", "\u2069", "\u200f", "\u061c"),  # bidirectional controls
        *("\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff"),  # non-characters
    ],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_invisible_characters_are_refused(field: str, character: str) -> None:
    message = refusal_of(msgspec.json.encode({"request": {field: f"foo{character}bar"}}))
    assert field in message and f"U+{ord(character):04X}" in message
    assert character not in message


@pytest.mark.parametrize(
    "text", ["Zürich", "東京", "\u0645\u06cc\u200c\u062e", "क्\u200dष", "👨\u200d👩\u200d👧", "✈\ufe0f", "São Tomé"]
)
def test_text_in_any_script_is_accepted(text: str) -> None:
    assert read(msgspec.json.encode({"request": {"depart_city": text}})).depart_city == text


def test_a_body_of_exactly_64_kb_is_accepted() -> None:
    assert read("{}".ljust(MOST_BYTES)) == TripRequest()


def test_an_error_does_not_repeat_a_huge_value() -> None:
    assert len(refusal_of('{"request": {"' + "x" * 60_000 + '": 1}}')) < 1000


@pytest.mark.parametrize("field", ["trip_id", "depart_city", "arrive_city", "rental"])
@pytest.mark.parametrize("text", ["", " ", "\t", "a\x00b", "a\x7fb", "a\u0085b", "a\u2029b"])
def test_no_text_may_be_blank_or_contain_a_control_character(field: str, text: str) -> None:
    assert field in refusal_of(msgspec.json.encode({"request": {field: text}}))


def test_a_wrong_type_is_reported_in_one_short_sentence() -> None:
    expected = "Invalid request: Expected `str`, got `int` - at `$.request.depart_city`."
    assert refusal_of('{"request": {"depart_city": 7}}') == expected


@pytest.mark.parametrize(
    "time",
    ["2021-07-08", "20210708", "2021-07-08T06:00", "2021-07-08T06:00:00.123456789Z", "2021-07-08T06:00:00-05:00"],
)
def test_the_usual_forms_of_iso_8601_are_accepted_and_kept_unchanged(time: str) -> None:
    assert read(msgspec.json.encode({"request": {"depart_time": time}})).depart_time == time


@pytest.mark.parametrize("end", ["2021-07-08T06:00:00Z", "2021-07-08T06:00", "2021-07-08T08:00:00+02:00"])
@pytest.mark.parametrize(("start_field", "end_field"), [("depart_time", "arrive_time"), ("rental_from", "rental_to")])
def test_an_end_that_is_the_same_instant_as_its_start_is_accepted(start_field: str, end_field: str, end: str) -> None:
    times = {start_field: "2021-07-08T06:00:00.000Z", end_field: end}

    trip = read(msgspec.json.encode({"request": times}))

    assert {field: getattr(trip, field) for field in times} == times


def test_a_trip_id_of_128_characters_in_any_script_is_accepted() -> None:
    trip_id = "✈" * 128
    assert read(msgspec.json.encode({"request": {"trip_id": trip_id}})).trip_id == trip_id


def test_a_request_that_another_service_sends_reads_the_same() -> None:
    request = ReserveRequest(TripRequest(trip_id="foo"))
    assert serde.deserialize(serde.serialize(request)) == request
