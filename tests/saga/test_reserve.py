"""The contract of `POST /trips/reserve`: the answer, the rows left, the notice sent."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from acceptance.bodies import BAD_REQUESTS, ITINERARY
from holiday.services import RUN_TYPES
from tests.driver import Holiday, eventually
from tests.expectations import COMPENSATIONS, TABLES, statuses


def test_the_sample_trip_is_booked_under_a_generated_id(holiday: Holiday) -> None:
    response = holiday.reserve()

    answer = response.json()
    assert (response.status_code, answer["status"], list(answer)) == (200, "success", ["status", "trip_id"])
    trip_id = answer["trip_id"]
    rows = {table: row for table, [row] in holiday.rows(trip_id).items()}
    flight, car, payment = rows["Flights"], rows["Cars"], rows["Payments"]
    assert flight == {
        **{"pk": trip_id, "sk": flight["id"], "trip_id": trip_id, "id": flight["id"]},
        "transaction_status": "confirmed",
        "depart_city": "Detroit",
        "depart_time": "2021-07-07T06:00:00.000Z",
        "arrive_city": "Frankfurt",
        "arrive_time": "2021-07-09T08:00:00.000Z",
    }
    assert car == {
        **{"pk": trip_id, "sk": car["id"], "trip_id": trip_id, "id": car["id"]},
        "transaction_status": "confirmed",
        "rental": "BMW",
        "rental_from": "2021-07-09T00:00:00.000Z",
        "rental_to": "2021-07-17T00:00:00.000Z",
    }
    assert payment == {
        **{"pk": trip_id, "sk": payment["id"], "trip_id": trip_id, "id": payment["id"]},
        "transaction_status": "confirmed",
        "amount": "750.00",
        "currency": "USD",
    }


def test_one_success_notice_is_sent_and_names_the_bookings(holiday: Holiday, trip_id: str) -> None:
    response = holiday.reserve({"trip_id": trip_id})

    assert response.json() == {"status": "success", "trip_id": trip_id}
    holiday.settle()
    [notice] = eventually(lambda: holiday.notices(trip_id), bool)
    rows = {table: row for table, [row] in holiday.rows(trip_id).items()}
    assert notice == {
        "trip_id": trip_id,
        **{f"{row.booking}_id": rows[TABLES[name]]["id"] for name, row in holiday.services.items()},
        "invocation_id": holiday.invocation_of(response),
        "status": "success",
        "message": f"Trip {trip_id} is booked.",
        "subject": "Holiday booking",
    }


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_simulated_failure_compensates_everything_before_it(holiday: Holiday, trip_id: str, run_type: str) -> None:
    response = holiday.reserve({"trip_id": trip_id, "run_type": run_type})

    assert response.status_code == 422
    answer = response.json()
    assert answer["metadata"]["trip_id"] == trip_id
    assert answer["metadata"]["step"] == RUN_TYPES[run_type]
    assert answer["metadata"]["reason"] == "simulated"
    for word in (trip_id, RUN_TYPES[run_type], run_type, answer["metadata"]["compensations"]):
        assert word in answer["message"]
    holiday.settle()
    assert holiday.statuses(trip_id) == statuses(run_type, holiday.services)
    [notice] = eventually(lambda: holiday.notices(trip_id), bool)
    assert (notice["status"], notice["message"]) == ("failure", answer["message"])
    assert notice["invocation_id"] == holiday.invocation_of(response)


def test_compensations_are_sent_newest_first_so_the_gate_opens_last(holiday: Holiday, trip_id: str) -> None:
    response = holiday.reserve({"trip_id": trip_id, "run_type": "failNotification"})

    sent = holiday.query(
        "SELECT entry_lite_json FROM sys_journal WHERE entry_type = 'Command: OneWayCall' "
        f"AND id = '{holiday.invocation_of(response)}' ORDER BY index"
    )
    targets = [json.loads(row["entry_lite_json"])["Command"]["OneWayCall"]["invocation_target"] for row in sent]
    objects = [target["VirtualObject"] for target in targets if "VirtualObject" in target]
    assert [f"{target['name']}.{target['handler']}" for target in objects] == [*COMPENSATIONS]
    assert {target["key"] for target in objects} == {trip_id}
    holiday.settle()


def test_the_caller_s_own_itinerary_is_booked(holiday: Holiday, trip_id: str) -> None:
    assert holiday.reserve({"trip_id": trip_id, **ITINERARY}).status_code == 200

    rows = {table: row for table, [row] in holiday.rows(trip_id).items()}
    assert {**rows["Flights"], **rows["Cars"]}.items() >= ITINERARY.items()


def test_a_duplicate_is_refused_and_its_trip_is_unchanged(holiday: Holiday, trip_id: str) -> None:
    holiday.reserve({"trip_id": trip_id})
    holiday.settle()
    before = {table: row for table, [row] in holiday.rows(trip_id).items()}

    response = holiday.reserve({"trip_id": trip_id, "run_type": "failFlightsReservation"})

    assert response.status_code == 409
    assert response.json()["metadata"]["reason"] == "duplicate"
    assert trip_id in response.json()["message"]
    holiday.settle()
    assert {table: row for table, [row] in holiday.rows(trip_id).items()} == before
    assert [notice["status"] for notice in eventually(lambda: holiday.notices(trip_id), bool)] == ["success"]


def test_the_answer_to_a_duplicate_says_what_to_do(holiday: Holiday, trip_id: str) -> None:
    holiday.reserve({"trip_id": trip_id})

    assert holiday.reserve({"trip_id": trip_id}).json()["metadata"]["hint"] == "Choose another trip_id."


def test_an_id_that_was_rolled_back_can_be_booked_at_once(holiday: Holiday, trip_id: str) -> None:
    assert holiday.reserve({"trip_id": trip_id, "run_type": "failNotification"}).status_code == 422

    assert holiday.reserve({"trip_id": trip_id}).status_code == 200

    holiday.settle()
    tried, booked = (statuses(run_type, holiday.services) for run_type in ("failNotification", "success"))
    assert holiday.statuses(trip_id) == {table: sorted(tried[table] + booked[table]) for table in booked}
    notices = eventually(lambda: holiday.notices(trip_id), lambda found: len(found) == 2)
    assert sorted(notice["status"] for notice in notices) == ["failure", "success"]


@pytest.mark.parametrize("run_type", [None, "failPayment"])
def test_an_idempotency_key_makes_a_retry_return_the_first_answer(
    holiday: Holiday, trip_id: str, run_type: str | None
) -> None:
    request = {"trip_id": trip_id} | ({"run_type": run_type} if run_type else {})

    first = holiday.reserve(request, idempotency_key=trip_id)
    again = holiday.reserve(request, idempotency_key=trip_id)

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == (422 if run_type else 200)
    holiday.settle()
    assert {table: len(rows) for table, rows in holiday.rows(trip_id).items()} == dict.fromkeys(holiday.tables, 1)


def test_a_key_that_is_reused_after_its_retention_leaves_one_trip_and_one_notice(
    holiday: Holiday, trip_id: str
) -> None:
    # given the sample trip, booked with a key that is then purged
    first = holiday.reserve(idempotency_key=trip_id)
    holiday.settle()
    booked = first.json()["trip_id"]
    before = holiday.rows(booked)
    holiday.purge(holiday.invocation_of(first))

    # when the key is reused, then the invocation id and the answer are the same
    again = holiday.reserve(idempotency_key=trip_id)
    assert (again.status_code, again.json()) == (200, first.json())
    assert holiday.invocation_of(again) == holiday.invocation_of(first)

    # and the trip is unchanged: it cannot be booked or paid a second time
    assert holiday.reserve({"trip_id": booked}).status_code == 409
    holiday.settle()
    assert holiday.rows(booked) == before
    assert [notice["status"] for notice in holiday.notices(booked)] == ["success"]


def test_only_one_of_many_callers_books_an_id(holiday: Holiday, trip_id: str) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(holiday.reserve, [{"trip_id": trip_id}] * 8))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    holiday.settle()
    assert holiday.statuses(trip_id) == statuses("success", holiday.services)
    assert [notice["status"] for notice in eventually(lambda: holiday.notices(trip_id), bool)] == ["success"]


@pytest.mark.parametrize(("request_line", "body", "words"), BAD_REQUESTS)
def test_a_bad_request_is_400_and_leaves_nothing(
    holiday: Holiday, request_line: str, body: str | bytes, words: list[str]
) -> None:
    before = holiday.totals()

    method, path = request_line.split()
    headers = {"content-type": "application/json"} if body else {}
    response = holiday.http.request(method, path, content=body, headers=headers)

    assert response.status_code == 400
    assert [word for word in words if word not in response.json()["message"]] == []
    assert "Traceback" not in response.text
    if "not public" not in words:  # answered by Restate itself
        metadata = response.json()["metadata"]
        assert (metadata["reason"], bool(metadata["hint"])) == ("invalid", True)
    holiday.settle()
    assert holiday.totals() == before


def test_a_body_over_64_kb_is_refused_before_anything_is_reserved(holiday: Holiday, trip_id: str) -> None:
    body = json.dumps({"request": {"trip_id": trip_id}})
    headers = {"content-type": "application/json"}

    # when a body is one byte too long, even if only by blanks, then it is refused
    refused = holiday.http.post("/trips/reserve", content=body.ljust(65_537), headers=headers)
    assert (refused.status_code, refused.json()["metadata"]["reason"]) == (400, "invalid")
    assert "65,536 bytes" in refused.json()["message"]
    holiday.settle()
    assert holiday.statuses(trip_id) == {table: [] for table in TABLES.values()}
    assert holiday.notices(trip_id) == []

    # when it has the maximum length, then it is booked
    assert holiday.http.post("/trips/reserve", content=body.ljust(65_536), headers=headers).status_code == 200


def test_the_limit_counts_bytes_and_not_characters(holiday: Holiday, trip_id: str) -> None:
    # given a body of fewer than 65,536 characters and more than 65,536 bytes in UTF-8
    body = json.dumps({"request": {"trip_id": trip_id, "depart_city": "京" * 30_000}}, ensure_ascii=False)
    assert len(body) < 65_536 < len(body.encode())

    refused = holiday.http.post("/trips/reserve", content=body.encode(), headers={"content-type": "application/json"})

    assert refused.status_code == 400
    assert "65,536 bytes" in refused.json()["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_content_type_other_than_json_is_refused_by_restate_itself(holiday: Holiday, content_type: str) -> None:
    response = holiday.http.post("/trips/reserve", content="{}", headers={"content-type": content_type})

    assert (response.status_code, response.json()["source"]) == (400, "ingress")
    assert "application/json" in response.json()["message"]


def test_another_method_is_not_allowed(holiday: Holiday) -> None:
    assert holiday.http.put("/trips/reserve", json={}).status_code == 405


@pytest.mark.parametrize("path", ["/trips/book", "/cruises/reserve"])
def test_a_wrong_path_is_not_found(holiday: Holiday, path: str) -> None:
    assert holiday.http.post(path, json={}).status_code == 404
