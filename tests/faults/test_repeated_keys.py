"""An idempotency key is used again after Restate has forgotten it: the same booking ids meet the first run's rows.

Restate derives the invocation id from the key, and booking ids from the invocation id. Here it is made to forget by a
purge, which leaves what a day of retention leaves.
"""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from holiday.services import RUN_TYPES, SERVICES
from tests.driver import eventually
from tests.expectations import COMPENSATIONS
from tests.faults.calls import Call
from tests.faults.harness import Harness, Scene
from tests.faults.invariant import Reservation
from tests.faults.plans import CANCELS, Trip


def first_of(harness: Harness, trip_id: str) -> tuple[object, object]:
    """All rows and notices of the trip, to be compared later."""
    return harness.rows(trip_id), harness.notices(trip_id)


async def ended(harness: Harness, trip_id: str, run_type: str = "", key: str = "key") -> Reservation:
    """A reservation under this key that has ended with all that it sent, and that Restate has forgotten."""
    made = await harness.reserve(trip_id, run_type, trip_id + key)
    assert await harness.check(trip_id, {trip_id: Trip(run_type)}, [made]) == []
    await harness.forget(made.invocation_id)
    return made


@pytest.mark.parametrize("run_type", ["", *RUN_TYPES])
def test_a_trip_is_answered_as_it_ended_however_often_its_key_is_used(
    play: Callable[[Scene], None], run_type: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that was booked or rolled back, and whose key is forgotten
        first = await ended(harness, trip_id, run_type)
        before = first_of(harness, trip_id)

        for _ in range(3):
            # when the request is repeated, then it is the same invocation with the same bookings
            again = await harness.reserve(trip_id, run_type, f"{trip_id}key")
            assert again.invocation_id == first.invocation_id

            # and it is answered as the trip ended, with every row and notice as it was
            if run_type:
                assert (again.status, again.reason, trip_id in again.answer) == (422, "rolled back", True)
            else:
                assert (again.status, json.loads(again.answer)) == (200, {"status": "success", "trip_id": trip_id})
            assert await harness.settle() == []
            assert first_of(harness, trip_id) == before
            await harness.forget(again.invocation_id)

    play(scene)


@pytest.mark.parametrize("cut_off", CANCELS)
@pytest.mark.parametrize("run_type", ["", "failPayment"])
def test_a_second_run_that_is_cut_off_at_the_gate_changes_no_row(
    play: Callable[[Scene], None], run_type: str, cut_off: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that was booked or rolled back, and whose key is forgotten
        first = await ended(harness, trip_id, run_type)
        rows = harness.rows(trip_id)

        # when it is requested again, and cancelled at the gate (test_plans has the table that is gone)
        trip = Trip(run_type, cancelled=True, faults={"flights.look 2": cut_off})
        harness.play({trip_id: trip})
        second = await harness.reserve(trip_id, run_type, f"{trip_id}key")

        # then no row changes. A notice of a failure may go out, which does not say that nothing stands
        assert await harness.check(trip_id, {trip_id: trip}, [first, second]) == []
        assert harness.rows(trip_id) == rows
        said = [notice["message"] for notice in harness.notices(trip_id) if notice["status"] == "failure"]
        assert all("was not booked by this request" in message for message in said)

        # and after that it is answered as it ended
        await harness.forget(second.invocation_id)
        third = await harness.reserve(trip_id, run_type, f"{trip_id}key")
        assert (third.status, third.reason) == ((422, "rolled back") if run_type else (200, ""))

    play(scene)


def test_the_same_key_with_another_body_never_changes_a_trip_that_stands(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        async def post(request: dict[str, str]) -> httpx.Response:
            url, key = f"{harness.cloud.ingress_url}/trips/reserve", {"idempotency-key": trip_id}
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                answer = await http.post(url, json={"request": request}, headers=key)
            assert await harness.settle() == []
            await harness.forget(answer.headers["x-restate-id"])
            return answer

        # given the sample trip, under a generated id
        first = await post({})
        generated = first.json()["trip_id"]
        before = first_of(harness, generated)

        # when its key is used with another itinerary, a failure, and its generated id by name
        others = [
            await post(body) for body in ({"rental": "Volvo"}, {"run_type": "failPayment"}, {"trip_id": generated})
        ]

        # then the trip stands as it is, and that is the answer
        assert [(answer.status_code, answer.json()) for answer in others] == [(200, first.json())] * 3
        assert first_of(harness, generated) == before

        # and another trip id is another trip, booked once
        for _ in range(2):
            assert (await post({"trip_id": trip_id})).json() == {"status": "success", "trip_id": trip_id}
        assert [notice["status"] for notice in harness.notices(trip_id)] == ["success"]
        assert first_of(harness, generated) == before

    play(scene)


def test_a_key_that_is_used_again_while_its_compensations_are_on_their_way_meets_a_trip_that_was_rolled_back(
    play: Callable[[Scene], None],
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a failed trip whose compensations do not get through
        blocked = Trip("failNotification", faults={f"{call} {n}": "reset" for call in COMPENSATIONS for n in (1, 2)})
        harness.play({trip_id: blocked})
        first = await harness.reserve(trip_id, blocked.run_type, trip_id)
        await harness.forget(first.invocation_id)

        # when its key is used again meanwhile, then it is refused as rolled back, and all is compensated
        second = await harness.reserve(trip_id, blocked.run_type, trip_id)
        assert (second.status, second.reason) == (422, "rolled back")
        assert await harness.check(trip_id, {trip_id: blocked}, [first, second]) == []
        assert len(harness.notices(trip_id)) == 1

    play(scene)


def test_a_run_that_was_refused_may_book_when_its_key_is_used_again(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a request that is a duplicate of a trip which then fails
        harness.play({trip_id: Trip(faults={"payments.process 1": "slow"})})
        other = await harness.send(trip_id, "failNotification", f"{trip_id}other")
        await harness.until(f"target = 'payments/{trip_id}/process'")
        refused = await harness.reserve(trip_id, key=trip_id)
        assert refused.status == 409
        failed = await harness.answer(trip_id, other)
        await harness.forget(refused.invocation_id)

        # when it is repeated, then it books, and from then on it is booked
        made = [refused, failed]
        for _ in range(2):
            made.append(await harness.reserve(trip_id, key=trip_id))
            await harness.forget(made[-1].invocation_id)
        assert [run.status for run in made] == [409, 422, 200, 200]
        assert await harness.check(trip_id, {trip_id: Trip(again=True)}, made) == []

    play(scene)


def test_a_late_write_of_another_run_does_not_make_a_run_a_duplicate_of_itself(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a run whose writes do not arrive, a second one that waits behind it, and the first one's step killed
        first_booking: list[str] = []

        def decide(call: Call) -> str | None:
            first_booking[:] = first_booking or [call.booking]
            if call.booking in first_booking:
                return "late" if call.name == "flights.reserve" else None
            return {"flights.reserve 1": "answer lost", "flights.look 2": "slow"}.get(f"{call.name} {call.attempt}")

        harness.proxy.decide = decide
        first = await harness.send(trip_id, key=f"{trip_id}first")
        [reserving] = await harness.until(f"target = 'flights/{trip_id}/reserve'")
        second = await harness.send(trip_id, key=f"{trip_id}second")
        await harness.until(f"target = 'flights/{trip_id}/reserve' AND id != '{reserving['id']}'")
        await harness.operate("kill", reserving["id"])

        # when the first one's write arrives after the second's own, whose answer was lost
        await asyncio.to_thread(eventually, lambda: harness.rows(trip_id)["flights"], bool)
        await harness.proxy.release()
        assert len(harness.rows(trip_id)["flights"]) == 2

        # then the second one books, and the first is rolled back
        made = [await harness.answer(trip_id, first), await harness.answer(trip_id, second)]
        assert [run.status for run in made] == [422, 200]
        assert await harness.check(trip_id, {trip_id: Trip(cancelled=True)}, made) == []

    play(scene)


@pytest.mark.parametrize("table", SERVICES)
def test_a_key_that_is_used_again_after_a_table_was_replaced_changes_no_row_of_the_others(
    play: Callable[[Scene], None], table: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that is booked, a table that has lost its row, as an empty one in its place has, and a key that
        # Restate has forgotten
        trip_id += table
        await ended(harness, trip_id)
        before = harness.rows(trip_id)
        [row] = before.pop(table)
        key = {name: {"S": row[name]} for name in ("pk", "sk")}
        harness.cloud.client("dynamodb").delete_item(TableName=harness.names[f"{table.title()}TableName"], Key=key)

        # when its key is used again, then what is left of the trip stands as it did
        await harness.reserve(trip_id, key=f"{trip_id}key")
        assert await harness.settle() == []
        after = harness.rows(trip_id)
        assert {name: after[name] for name in before} == before

    play(scene)


@pytest.mark.parametrize(("run_type", "status"), [("", 409), ("failCarRentalReservation", 422)])
def test_a_restart_from_the_beginning_is_another_reservation(
    play: Callable[[Scene], None], run_type: str, status: int
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that has ended
        first = await harness.reserve(trip_id, run_type, trip_id)
        assert await harness.settle() == []

        # when a person restarts it as new, then that is another reservation of the same trip id
        answer = await harness.operate("restart-as-new", first.invocation_id)
        another = await harness.answer(trip_id, answer.raise_for_status().json()["new_invocation_id"])
        assert (another.invocation_id != first.invocation_id, another.status) == (True, status)
        assert await harness.check(trip_id, {trip_id: Trip(run_type, again=True)}, [first, another]) == []

    play(scene)
