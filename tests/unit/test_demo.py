"""The demo's check of a trip: it accepts only what the contract allows."""

import io
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from demo.cloud import named
from demo.contract import CONTRACT, NEVER, NOTHING, Trip, complaint, word
from demo.demo import show
from demo.readme import left
from demo.rows import coloured
from holiday.services import RUN_TYPES, SERVICES, Service

FULL = {"pk": "foo", "sk": "1", "id": "1", "trip_id": "foo", "rental": "BMW"}
TOMBSTONE = {"pk": "foo", "sk": "1", "id": "1", "trip_id": "foo"}


def booked() -> Trip:
    rows = {kind: FULL | {"transaction_status": "confirmed"} for kind in ("flight", "car", "payment")}
    return Trip("foo", "success", 200, "{}", 0.1, dict(rows), ["success"])


def compensated() -> Trip:
    flight = FULL | {"transaction_status": "cancelled"}
    car = TOMBSTONE | {"transaction_status": "cancelled"}
    return Trip("foo", "failCarRentalReservation", 422, "{}", 0.1, {"flight": flight, "car": car}, ["failure"])


def test_a_booked_trip_with_one_success_notice_passes() -> None:
    assert complaint(booked()) is None


def test_a_failed_trip_with_all_rows_compensated_and_one_failure_notice_passes() -> None:
    assert complaint(compensated()) is None


def test_a_success_with_a_missing_row_fails() -> None:
    trip = booked()
    del trip.rows["car"]

    assert complaint(trip) == "the car is '—' instead of 'confirmed'"


@pytest.mark.parametrize("status", ["confirmed", "refunded"])
def test_a_failed_trip_with_a_row_of_a_later_step_fails(status: str) -> None:
    trip = compensated()
    trip.rows["payment"] = FULL | {"transaction_status": status}

    assert complaint(trip) == f"the payment is '{status}' instead of '—'"


def test_a_failed_trip_whose_failed_step_made_a_booking_fails() -> None:
    trip = compensated()
    trip.rows["car"] = FULL | {"transaction_status": "cancelled"}

    assert complaint(trip) == "the car is 'cancelled' instead of 'never taken'"


@pytest.mark.parametrize("notices", [[], ["success"], ["failure", "failure"]])
def test_a_failed_trip_without_exactly_one_failure_notice_fails(notices: list[str]) -> None:
    trip = compensated()
    trip.notices = notices

    assert "instead of one failure" in (complaint(trip) or "")


def test_a_failed_trip_that_is_answered_with_200_fails() -> None:
    trip = compensated()
    trip.status = 200

    assert "HTTP 200 instead of 422" in (complaint(trip) or "")


def test_a_failed_trip_without_rows_fails_because_the_flight_s_compensation_leaves_one() -> None:
    trip = compensated()
    trip.rows.clear()

    assert complaint(trip) == "the flight is '—' instead of 'cancelled'"


def test_a_tombstone_reads_as_never_taken() -> None:
    assert word(TOMBSTONE | {"transaction_status": "cancelled"}) == "never taken"
    assert word(FULL | {"transaction_status": "cancelled"}) == "cancelled"
    assert word(TOMBSTONE | {"transaction_status": "confirmed"}) == "confirmed"
    assert word(None) == "—"


@pytest.mark.parametrize("run_type", ["success", *RUN_TYPES])
def test_the_demo_s_table_and_the_readme_s_use_the_same_words(run_type: str) -> None:
    # given the rows that the services leave, one of which uses another word for compensated
    services = SERVICES | {"cars": replace(SERVICES["cars"], compensation="void", compensated="voided")}
    expected = left(run_type, services)
    rows = {services[name].booking: row_of(services[name], word) for name, word in expected.items()}
    notice = "success" if run_type == "success" else "failure"
    trip = Trip("foo", run_type, 200 if notice == "success" else 422, "{}", 0.1, rows, [notice])

    # when the demo shows them
    shown = io.StringIO()
    show([trip], Console(file=shown, width=200))

    # then its table has the expected words
    _, _, line, *_ = shown.getvalue().strip().splitlines()
    words = [cell for cell in re.split(r"\s{2,}", line.strip()) if cell]
    assert [cell.removeprefix("✗ ") for cell in words[:-1]] == [run_type, str(trip.status), *expected.values(), notice]


def row_of(service: Service, word: str) -> dict[str, str]:
    """The row that a service leaves, where the contract has this word."""
    tombstone = TOMBSTONE | {"transaction_status": service.compensated}
    return {NOTHING: {}, NEVER: tombstone}.get(word, FULL | {"transaction_status": word})


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_all_compensated_statuses_have_the_same_colour(service: Service) -> None:
    colours = {status: coloured(status).style for status in (service.compensated, "voided", "confirmed", "pending")}

    assert colours == {service.compensated: "yellow", "voided": "yellow", "confirmed": "green", "pending": "red"}


def test_the_contract_s_run_types_exist() -> None:
    assert set(CONTRACT) <= {"success", *RUN_TYPES}


@pytest.mark.parametrize("hotel", [{}, FULL | {"transaction_status": "cancelled"}])
def test_a_success_needs_a_booking_in_every_table(hotel: dict[str, str]) -> None:
    trip = booked()
    trip.rows["hotel"] = hotel

    assert complaint(trip) == f"the hotel is '{word(hotel)}', and the trip a success"


@pytest.mark.parametrize("run_type", ["failCarRentalReservation", "failHotelsReservation"])
@pytest.mark.parametrize("status", ["pending", "confirmed"])
def test_a_failed_trip_with_a_pending_or_confirmed_booking_in_any_table_fails(run_type: str, status: str) -> None:
    trip = compensated()
    trip.run_type = run_type
    assert complaint(trip) is None
    trip.rows["hotel"] = FULL | {"transaction_status": status}

    assert complaint(trip) == f"the hotel is '{status}', and the trip a failure"


def test_the_demo_s_table_has_a_column_for_each_dynamodb_table() -> None:
    trip = booked()
    trip.rows["hotel"] = FULL | {"transaction_status": "confirmed"}
    shown = io.StringIO()
    show([trip], Console(file=shown, width=120))

    heading, _, line, *_ = shown.getvalue().strip().splitlines()
    assert heading.split() == ["run", "type", "HTTP", "flight", "car", "payment", "hotel", "notice", "time"]
    assert line.split()[:-1] == ["success", "200", *["confirmed"] * 4, "success"]


def test_services_and_tables_are_read_from_the_outputs() -> None:
    outputs = {"TripsVersionArn": "1", "HotelsVersionArn": "2", "HotelsTableName": "h", "TopicArn": "t"}

    assert named(outputs, "VersionArn") == {"trips": "1", "hotels": "2"}
    assert named(outputs, "TableName") == {"hotels": "h"}
