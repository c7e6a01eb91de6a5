"""The demo's judgement: it calls a trip right only when the contract does."""

import pytest

from holiday.services import RUN_TYPES
from localcloud.demo import CONTRACT, Trip, complaint, word

FULL = {"pk": "foo", "sk": "1", "id": "1", "trip_id": "foo", "rental": "BMW"}
TOMBSTONE = {"pk": "foo", "sk": "1", "id": "1", "trip_id": "foo"}


def booked() -> Trip:
    rows = {kind: FULL | {"transaction_status": "confirmed"} for kind in ("flight", "car", "payment")}
    return Trip("foo", "success", 200, "{}", 0.1, dict(rows), ["success"])


def undone() -> Trip:
    flight = FULL | {"transaction_status": "cancelled"}
    car = TOMBSTONE | {"transaction_status": "cancelled"}
    return Trip("foo", "failCarRentalReservation", 422, "{}", 0.1, {"flight": flight, "car": car}, ["failure"])


def test_a_trip_that_stands_with_one_success_notice_is_right() -> None:
    assert complaint(booked()) is None


def test_a_failed_trip_whose_rows_are_all_undone_with_one_failure_notice_is_right() -> None:
    assert complaint(undone()) is None


def test_a_success_with_a_row_missing_is_wrong() -> None:
    trip = booked()
    del trip.rows["car"]

    assert complaint(trip) == "the car is '—' instead of 'confirmed'"


@pytest.mark.parametrize("status", ["confirmed", "refunded"])
def test_a_failed_trip_with_a_row_beyond_its_step_is_wrong(status: str) -> None:
    trip = undone()
    trip.rows["payment"] = FULL | {"transaction_status": status}

    assert complaint(trip) == f"the payment is '{status}' instead of '—'"


def test_a_failed_trip_whose_failed_step_was_taken_is_wrong() -> None:
    trip = undone()
    trip.rows["car"] = FULL | {"transaction_status": "cancelled"}

    assert complaint(trip) == "the car is 'cancelled' instead of 'never taken'"


@pytest.mark.parametrize("notices", [[], ["success"], ["failure", "failure"]])
def test_a_failed_trip_with_anything_but_one_failure_notice_is_wrong(notices: list[str]) -> None:
    trip = undone()
    trip.notices = notices

    assert "instead of one failure" in (complaint(trip) or "")


def test_a_failure_that_is_answered_with_200_is_wrong() -> None:
    trip = undone()
    trip.status = 200

    assert "HTTP 200 instead of 422" in (complaint(trip) or "")


def test_a_failed_trip_without_any_row_is_wrong_because_even_its_flights_undo_leaves_one() -> None:
    trip = undone()
    trip.rows.clear()

    assert complaint(trip) == "the flight is '—' instead of 'cancelled'"


def test_a_tombstone_reads_as_never_taken() -> None:
    assert word(TOMBSTONE | {"transaction_status": "cancelled"}) == "never taken"
    assert word(FULL | {"transaction_status": "cancelled"}) == "cancelled"
    assert word(TOMBSTONE | {"transaction_status": "confirmed"}) == "confirmed"
    assert word(None) == "—"


def test_the_demo_shows_every_run_type_of_the_contract() -> None:
    assert set(CONTRACT) == {"success", *RUN_TYPES}
