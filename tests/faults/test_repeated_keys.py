"""An idempotency key is reused after it has expired: the second run finds the first run's rows.

Restate derives the invocation id from the key, and the services derive booking ids from the invocation id. A purge
leaves the same as a day of retention does.
"""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from holiday.services import RUN_TYPES, SERVICES
from tests.driver import eventually
from tests.expectations import COMPENSATIONS
from tests.faults.calls import AwsCall
from tests.faults.harness import Harness, Scene
from tests.faults.invariant import Reservation
from tests.faults.plans import CANCELS, Trip


def left_by(harness: Harness, trip_id: str) -> tuple[object, object]:
    """All rows and notices of the trip."""
    return harness.rows(trip_id), harness.notices(trip_id)


async def ended(harness: Harness, trip_id: str, run_type: str = "", key: str = "key") -> Reservation:
    """Make a reservation with this key, wait until all that it sent has ended, and purge it."""
    made = await harness.reserve(trip_id, run_type, trip_id + key)
    assert await harness.check(trip_id, {trip_id: Trip(run_type)}, [made]) == []
    await harness.purge(made.invocation_id)
    return made


@pytest.mark.parametrize("run_type", ["", *RUN_TYPES])
def test_a_reused_key_gets_the_outcome_of_its_trip_every_time(play: Callable[[Scene], None], run_type: str) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that was booked or rolled back, whose key was purged
        first = await ended(harness, trip_id, run_type)
        before = left_by(harness, trip_id)

        for _ in range(3):
            # when the request is repeated, then it has the same invocation id
            again = await harness.reserve(trip_id, run_type, f"{trip_id}key")
            assert again.invocation_id == first.invocation_id

            # and the answer is the trip's outcome, and no row or notice changes
            if run_type:
                assert (again.status, again.reason, trip_id in again.answer) == (422, "rolled back", True)
            else:
                assert (again.status, json.loads(again.answer)) == (200, {"status": "success", "trip_id": trip_id})
            assert await harness.settle() == []
            assert left_by(harness, trip_id) == before
            await harness.purge(again.invocation_id)

    play(scene)


@pytest.mark.parametrize("cut_off", CANCELS)
@pytest.mark.parametrize("run_type", ["", "failPayment"])
def test_a_second_run_that_is_cancelled_at_the_gate_changes_no_row(
    play: Callable[[Scene], None], run_type: str, cut_off: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that was booked or rolled back, whose key was purged
        first = await ended(harness, trip_id, run_type)
        rows = harness.rows(trip_id)

        # when it is requested again and cancelled at the gate (test_plans covers an unreachable table)
        trip = Trip(run_type, cancelled=True, faults={"flights.look 2": cut_off})
        harness.play({trip_id: trip})
        second = await harness.reserve(trip_id, run_type, f"{trip_id}key")

        # then no row changes. A failure notice may be sent, but it speaks of this request only
        assert await harness.check(trip_id, {trip_id: trip}, [first, second]) == []
        assert harness.rows(trip_id) == rows
        said = [notice["message"] for notice in harness.notices(trip_id) if notice["status"] == "failure"]
        assert all("was not booked by this request" in message for message in said)

        # and the next request gets the trip's outcome
        await harness.purge(second.invocation_id)
        third = await harness.reserve(trip_id, run_type, f"{trip_id}key")
        assert (third.status, third.reason) == ((422, "rolled back") if run_type else (200, ""))

    play(scene)


def test_the_same_key_with_another_body_never_changes_a_booked_trip(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        async def post(request: dict[str, str]) -> httpx.Response:
            url, key = f"{harness.cloud.ingress_url}/trips/reserve", {"idempotency-key": trip_id}
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                answer = await http.post(url, json={"request": request}, headers=key)
            assert await harness.settle() == []
            await harness.purge(answer.headers["x-restate-id"])
            return answer

        # given the sample trip, under a generated id
        first = await post({})
        generated = first.json()["trip_id"]
        before = left_by(harness, generated)

        # when its key is reused with another itinerary, with a failing run type, and with the generated trip id
        others = [
            await post(body) for body in ({"rental": "Volvo"}, {"run_type": "failPayment"}, {"trip_id": generated})
        ]

        # then each answer is the first one, and the trip is unchanged
        assert [(answer.status_code, answer.json()) for answer in others] == [(200, first.json())] * 3
        assert left_by(harness, generated) == before

        # and with another trip id, another trip is booked, once
        for _ in range(2):
            assert (await post({"trip_id": trip_id})).json() == {"status": "success", "trip_id": trip_id}
        assert [notice["status"] for notice in harness.notices(trip_id)] == ["success"]
        assert left_by(harness, generated) == before

    play(scene)


def test_a_key_that_is_reused_while_compensations_are_pending_is_refused_as_rolled_back(
    play: Callable[[Scene], None],
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a failed trip whose compensations fail at first
        blocked = Trip("failNotification", faults={f"{call} {n}": "reset" for call in COMPENSATIONS for n in (1, 2)})
        harness.play({trip_id: blocked})
        first = await harness.reserve(trip_id, blocked.run_type, trip_id)
        await harness.purge(first.invocation_id)

        # when its key is reused meanwhile, then the request is refused as rolled back, and everything is compensated
        second = await harness.reserve(trip_id, blocked.run_type, trip_id)
        assert (second.status, second.reason) == (422, "rolled back")
        assert await harness.check(trip_id, {trip_id: blocked}, [first, second]) == []
        assert len(harness.notices(trip_id)) == 1

    play(scene)


def test_a_refused_request_can_book_when_its_key_is_reused(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a request that duplicates a trip, which then fails
        harness.play({trip_id: Trip(faults={"payments.process 1": "slow"})})
        other = await harness.send(trip_id, "failNotification", f"{trip_id}other")
        await harness.until(f"target = 'payments/{trip_id}/process'")
        refused = await harness.reserve(trip_id, key=trip_id)
        assert refused.status == 409
        failed = await harness.answer(trip_id, other)
        await harness.purge(refused.invocation_id)

        # when it is repeated, then it books the trip, and a further request gets the same answer
        made = [refused, failed]
        for _ in range(2):
            made.append(await harness.reserve(trip_id, key=trip_id))
            await harness.purge(made[-1].invocation_id)
        assert [run.status for run in made] == [409, 422, 200, 200]
        assert await harness.check(trip_id, {trip_id: Trip(again=True)}, made) == []

    play(scene)


def test_another_run_s_late_write_does_not_make_a_retry_a_duplicate(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a first run whose write is delayed, a second run queued behind it, and the first run's step killed
        first_booking: list[str] = []

        def decide(call: AwsCall) -> str | None:
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

        # when the first run's write arrives after the second run's, whose answer was lost
        await asyncio.to_thread(eventually, lambda: harness.rows(trip_id)["flights"], bool)
        await harness.proxy.release()
        assert len(harness.rows(trip_id)["flights"]) == 2

        # then the second run books, and the first is rolled back
        made = [await harness.answer(trip_id, first), await harness.answer(trip_id, second)]
        assert [run.status for run in made] == [422, 200]
        assert await harness.check(trip_id, {trip_id: Trip(cancelled=True)}, made) == []

    play(scene)


@pytest.mark.parametrize("table", SERVICES)
def test_a_key_that_is_reused_after_a_table_was_replaced_changes_no_row_in_the_others(
    play: Callable[[Scene], None], table: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a booked trip whose key was purged, and one table without its row, as if an empty one had replaced it
        trip_id += table
        await ended(harness, trip_id)
        before = harness.rows(trip_id)
        [row] = before.pop(table)
        key = {name: {"S": row[name]} for name in ("pk", "sk")}
        harness.cloud.client("dynamodb").delete_item(TableName=harness.names[f"{table.title()}TableName"], Key=key)

        # when the key is reused, then the trip's other rows do not change
        await harness.reserve(trip_id, key=f"{trip_id}key")
        assert await harness.settle() == []
        after = harness.rows(trip_id)
        assert {name: after[name] for name in before} == before

    play(scene)


@pytest.mark.parametrize(("run_type", "status"), [("", 409), ("failCarRentalReservation", 422)])
def test_a_restart_as_new_is_another_reservation(play: Callable[[Scene], None], run_type: str, status: int) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that has ended
        first = await harness.reserve(trip_id, run_type, trip_id)
        assert await harness.settle() == []

        # when an operator restarts it as new, then that is another reservation of the same trip id
        answer = await harness.operate("restart-as-new", first.invocation_id)
        another = await harness.answer(trip_id, answer.raise_for_status().json()["new_invocation_id"])
        assert (another.invocation_id != first.invocation_id, another.status) == (True, status)
        assert await harness.check(trip_id, {trip_id: Trip(run_type, again=True)}, [first, another]) == []

    play(scene)
