"""Concurrent callers, repeated requests and dropped connections; operators who cancel, pause, resume and kill."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from holiday.services import SERVICES
from tests.expectations import COMPENSATIONS
from tests.faults.harness import Harness, Scene, count
from tests.faults.plans import Trip


def test_only_one_of_many_callers_books_a_trip_id(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        trip = Trip(callers=20)
        made = await harness.book(trip_id, trip)
        assert count(made) == {200: 1, 409: 19}
        assert await harness.check(trip_id, {trip_id: trip}, made) == []

    play(scene)


def test_many_requests_with_one_idempotency_key_are_one_reservation(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        trip = Trip(repeats=20)
        made = await harness.book(trip_id, trip)
        assert count(made) == {200: 1}
        assert await harness.check(trip_id, {trip_id: trip}, made) == []

    play(scene)


def test_a_request_repeated_after_a_dropped_connection_gets_the_first_answer(
    play: Callable[[Scene], None],
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a connection that is dropped while the trip is being booked
        harness.play({trip_id: Trip(faults={"payments.process 1": "slow"})})
        body = json.dumps({"request": {"trip_id": trip_id}}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", harness.cloud.ports.ingress)
        writer.write(
            b"POST /trips/reserve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"idempotency-key: dropped\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await harness.until(f"target = 'payments/{trip_id}/process'")
        writer.close()
        assert not reader.at_eof()

        # when the request is repeated with its key, then it is answered, and there is one trip
        made = await harness.reserve(trip_id, key="dropped")
        assert made.status == 200
        assert await harness.check(trip_id, {trip_id: Trip()}, [made]) == []

    play(scene)


def test_a_trip_id_can_be_booked_again_after_a_rollback_and_not_after_a_success(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        made = [await harness.reserve(trip_id, run_type) for run_type in ("failPayment", "failNotification", "", "")]
        assert [reservation.status for reservation in made] == [422, 422, 200, 409]
        assert await harness.check(trip_id, {trip_id: Trip(again=True)}, made) == []

    play(scene)


def test_a_cancelled_trip_says_so_in_its_message_and_metadata(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        harness.play({trip_id: Trip(faults={"cars.reserve 1": "cancel before"})})
        made = await harness.reserve(trip_id)

        answer = json.loads(made.answer)
        assert made.status == 422
        assert answer["message"] == (
            f"Trip {trip_id} was not booked by this request: cars.reserve failed (it was cancelled). "
            "Compensations: cars.cancel, flights.cancel."
        )
        assert answer["metadata"] == {
            "trip_id": trip_id,
            "step": "cars.reserve",
            "reason": "cancelled",
            "cause": "it was cancelled",
            "compensations": "cars.cancel, flights.cancel",
        }

    play(scene)


def test_a_paused_trip_continues_when_it_is_resumed(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        harness.play({trip_id: Trip(faults={"cars.reserve 1": "slow"})})
        invocation = await harness.send(trip_id)
        await harness.until(f"target = 'cars/{trip_id}/reserve'")
        (await harness.operate("pause", invocation)).raise_for_status()
        await harness.until(f"id = '{invocation}' AND status = 'paused'")
        (await harness.operate("resume", invocation)).raise_for_status()

        made = await harness.answer(trip_id, invocation)
        assert made.status == 200
        assert await harness.check(trip_id, {trip_id: Trip()}, [made]) == []

    play(scene)


def test_bookings_of_a_killed_trip_can_be_cancelled_by_hand(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip that was killed while its flight was being confirmed: its bookings stay, and no notice is sent
        harness.play({trip_id: Trip(faults={"flights.confirm 1": "slow"})})
        invocation = await harness.send(trip_id)
        await harness.until(f"target = 'flights/{trip_id}/confirm'")
        await harness.until_done(f"cars/{trip_id}/confirm")
        (await harness.operate("kill", invocation)).raise_for_status()
        assert await harness.settle() == []
        left = harness.rows(trip_id)
        assert [row["transaction_status"] for row in left["cars"] + left["payments"]] == ["confirmed", "confirmed"]
        assert harness.notices(trip_id) == []

        # when the services are made public for a moment and the bookings are cancelled by id
        for compensation in COMPENSATIONS:
            service, _, handler = compensation.partition(".")
            await compensate_by_hand(harness, service, handler, trip_id, [row["id"] for row in left[service]])

        # then all are cancelled, the services are private again, and the trip id can be booked
        rows = harness.rows(trip_id)
        found = {name: [row["transaction_status"] for row in rows[name]] for name in SERVICES}
        assert found == {name: [row.compensated] for name, row in SERVICES.items()}
        assert (await post(harness, "flights", "cancel", trip_id, "any")).status_code == 400
        assert (await harness.reserve(trip_id)).status == 200

    play(scene)


@pytest.mark.parametrize(("service", "handler"), [compensation.split(".") for compensation in COMPENSATIONS])
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ('{"id": ""}', 400, "A booking id must have 1 to 1,024 bytes, not 0."),
        ('{"id": "%s"}' % ("x" * 1025), 400, "A booking id must have 1 to 1,024 bytes, not 1,025."),
        ("", 400, "Empty body not allowed"),
        ('{"id": "some"}', 400, "A trip id must have 1 to 2,048 bytes"),
    ],
    ids=["no id", "a long id", "no body", "no trip id"],
)
def test_an_invalid_request_in_a_clean_up_by_hand_is_refused_at_once(
    play: Callable[[Scene], None], service: str, handler: str, body: str, status: int, words: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        await asyncio.to_thread(harness.cloud.admin.publish, service, public=True)
        named = "" if "trip id" in words else trip_id
        url, kind = f"{harness.cloud.ingress_url}/{service}/{named}/{handler}", {"content-type": "application/json"}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.post(url, content=body, headers=kind)
        await asyncio.to_thread(harness.cloud.admin.publish, service, public=False)

        assert (answer.status_code, words in answer.text) == (status, True), answer.text
        assert await harness.settle() == []
        assert not any(harness.rows(trip_id).values())

    play(scene)


@pytest.mark.parametrize("verb", ["cancel", "kill"])
def test_a_compensation_that_was_cancelled_or_killed_can_be_done_by_hand(
    play: Callable[[Scene], None], verb: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip cancelled while its flight was being confirmed, whose queued compensation is then stopped
        trip_id += verb
        harness.play({trip_id: Trip(faults={"flights.confirm 1": "slow"})})
        invocation = await harness.send(trip_id)
        await harness.until(f"target = 'flights/{trip_id}/confirm'")
        await harness.operate("cancel", invocation)
        [compensation] = await harness.until(f"target = 'flights/{trip_id}/cancel'")
        (await harness.operate(verb, compensation["id"])).raise_for_status()
        assert await harness.settle() == []
        [flight] = harness.rows(trip_id)["flights"]
        assert flight["transaction_status"] == "confirmed"

        # when the flight is cancelled by hand, then no booking is left
        made = await harness.answer(trip_id, invocation)
        await compensate_by_hand(harness, "flights", "cancel", trip_id, [flight["id"]])
        assert await harness.check(trip_id, {trip_id: Trip(cancelled=True)}, [made]) == []

    play(scene)


def test_a_killed_notice_is_lost_and_the_trip_stays_booked(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        harness.proxy.decide = lambda call: "reset" if call.name == "trips.notify" else None
        assert (await harness.reserve(trip_id)).status == 200
        [notifying] = await harness.until("target = 'trips/notify'")
        (await harness.operate("kill", notifying["id"])).raise_for_status()
        harness.play({})
        assert await harness.settle() == []

        rows = harness.rows(trip_id)
        assert [row["transaction_status"] for name in rows for row in rows[name]] == ["confirmed"] * len(SERVICES)
        assert harness.notices(trip_id) == []

    play(scene)


async def post(harness: Harness, service: str, handler: str, trip_id: str, booking: str) -> httpx.Response:
    """Call a compensation through the ingress, as an operator with curl would."""
    url = f"{harness.cloud.ingress_url}/{service}/{trip_id}/{handler}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(url, json={"id": booking})


async def compensate_by_hand(harness: Harness, service: str, handler: str, trip_id: str, bookings: list[str]) -> None:
    """Do what docs/reliability.md says to do after a kill."""
    await asyncio.to_thread(harness.cloud.admin.publish, service, public=True)
    for booking in bookings:
        (await post(harness, service, handler, trip_id, booking)).raise_for_status()
    await asyncio.to_thread(harness.cloud.admin.publish, service, public=False)
