"""Runs the saga's contract tests (`tests/saga`) against the Step Functions version.

Tests that it cannot pass are not imported, or differ:
- An idempotency key works with STANDARD workflows only: EXPRESS ones do not know the name of an earlier execution.
- A GET, or a leaf's path, is 404 instead of 400: the API has one route, and functions are not on HTTP at all.
- The answer comes after the compensations and the notice, which are part of the execution. So an SNS outage delays the
  answer, and one that outlasts API Gateway's time-out (29 s) loses it.
- Stopping a STANDARD execution compensates nothing: no Catch runs. An EXPRESS one cannot be stopped, and is ended after
  five minutes without compensation.
"""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from comparison.engines import StepFunctions
from demo.contract import CONTRACT
from tests.driver import eventually
from tests.saga import test_reserve as contract
from tests.saga.test_reserve import (
    test_a_duplicate_is_refused_and_its_trip_is_unchanged,
    test_a_simulated_failure_compensates_everything_before_it,
    test_a_wrong_path_is_not_found,
    test_an_id_that_was_rolled_back_can_be_booked_at_once,
    test_one_success_notice_is_sent_and_names_the_bookings,
    test_only_one_of_many_callers_books_an_id,
    test_the_caller_s_own_itinerary_is_booked,
    test_the_sample_trip_is_booked_under_a_generated_id,
)

pytestmark = pytest.mark.slow
RUN_TYPES = [run_type for run_type in CONTRACT if run_type != "success"]

__all__ = [
    "test_a_duplicate_is_refused_and_its_trip_is_unchanged",
    "test_a_simulated_failure_compensates_everything_before_it",
    "test_a_wrong_path_is_not_found",
    "test_an_id_that_was_rolled_back_can_be_booked_at_once",
    "test_one_success_notice_is_sent_and_names_the_bookings",
    "test_only_one_of_many_callers_books_an_id",
    "test_the_caller_s_own_itinerary_is_booked",
    "test_the_sample_trip_is_booked_under_a_generated_id",
]


@pytest.mark.parametrize("run_type", [None, "failPayment"])
def test_a_standard_workflow_answers_a_retry_with_its_idempotency_key_as_the_first_time(
    workflows: dict[str, StepFunctions], trip_id: str, run_type: str | None
) -> None:
    contract.test_an_idempotency_key_makes_a_retry_return_the_first_answer(workflows["STANDARD"], trip_id, run_type)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", ["empty"]),
        ("{", ["JSON"]),
        ("[]", ["object"]),
        ('{"trip": {}}', ["trip", "request"]),
        ('{"request": {"cat": 1}}', ["cat", "depart_city"]),
        ('{"request": {"run_type": "failAll"}}', ["failAll", *RUN_TYPES]),
        ('{"request": {"trip_id": 1}}', ["trip_id", "int"]),
        ('{"request": {"trip_id": "' + "x" * 129 + '"}}', ["trip_id", "128"]),
        ('{"request": {"depart_time": "soon"}}', ["depart_time", "ISO 8601"]),
        ('{"request": {"rental_to": "2021-07-08"}}', ["rental_to", "rental_from"]),
    ],
)
def test_a_bad_request_is_400_and_leaves_nothing(holiday: StepFunctions, body: str, words: list[str]) -> None:
    before = holiday.totals()

    response = holiday.http.post("/trips/reserve", content=body, headers={"content-type": "application/json"})

    assert response.status_code == 400
    assert [word for word in words if word not in response.json()["message"]] == []
    assert holiday.totals() == before


@pytest.mark.parametrize("seed", [1, 2])
def test_each_of_many_concurrent_trips_is_booked_or_leaves_nothing(holiday: StepFunctions, seed: int) -> None:
    # given trips of random run types, some of which share an id
    dice = random.Random(seed)
    ids = [f"{holiday.names['ApiId']}-{seed}-{dice.randrange(12)}" for _ in range(24)]
    requests = [{"trip_id": trip} | dice.choice([{}, {}, {"run_type": dice.choice([*RUN_TYPES])}]) for trip in ids]

    # when they are booked by eight callers
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(holiday.reserve, requests))

    # then an id that was booked has one booking and one success notice, and no other id has a booking
    holiday.settle()
    for trip in set(ids):
        statuses = [answer.status_code for answer, of in zip(answers, ids, strict=True) if of == trip]
        assert set(statuses) <= {200, 409, 422}, f"seed {seed}: {statuses}"
        booked = {table: found.count("confirmed") for table, found in holiday.statuses(trip).items()}
        assert booked == dict.fromkeys(booked, statuses.count(200)), f"seed {seed}: {trip}"
        assert not any("pending" in found for found in holiday.statuses(trip).values())
        expected = sorted(["success"] * statuses.count(200) + ["failure"] * statuses.count(422))
        assert notices_about(holiday, trip, len(expected)) == expected
        assert statuses.count(200) <= 1


def notices_about(holiday: StepFunctions, trip_id: str, count: int) -> list[str]:
    notices = eventually(lambda: holiday.notices(trip_id), lambda found: len(found) >= count)
    return sorted(notice["status"] for notice in notices)
