"""Faults of the same kinds as elsewhere, that nothing else names: two late writes, and a table that was replaced."""

import asyncio
from collections.abc import Callable

import pytest

from tests.faults.harness import PATIENCE, Harness, Scene
from tests.faults.plans import Trip
from tests.faults.proxy import Call
from tests.faults.test_repeated_keys import ended


def test_a_duplicate_whose_own_write_is_late_leaves_no_row(play: Callable[[Scene], None]) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given two runs of one trip id: no write of the first arrives, and the first one of the second does not
        bookings: list[str] = []

        def decide(call: Call) -> str | None:
            bookings.extend({call.booking} - set(bookings))
            if call.booking == bookings[0]:
                return "late" if call.name == "flights.reserve" else None
            return {"flights.reserve 1": "late", "flights.look 2": "slow"}.get(f"{call.name} {call.attempt}")

        harness.proxy.decide = decide
        late = harness.proxy.fired["late"]
        first = await harness.send(trip_id, key=f"{trip_id}first")
        [reserving] = await harness.until(f"target = 'flights/{trip_id}/reserve' AND failures > 0")
        second = await harness.send(trip_id, key=f"{trip_id}second")
        await harness.until(f"target = 'flights/{trip_id}/reserve' AND id != '{reserving['id']}'")

        # when the first one's step is killed, and its write arrives while the second waits to try again
        await harness.operate("kill", reserving["id"])
        async with asyncio.timeout(PATIENCE):
            while len(bookings) < 2 or harness.proxy.fired["late"] == late or not harness.proxy.is_late(bookings[1]):
                await asyncio.sleep(0.01)
        await harness.proxy.release(bookings[0])

        # then the second books, or is refused and leaves nothing, although its own write arrives in the end
        made = [await harness.answer(trip_id, first), await harness.answer(trip_id, second)]
        assert await harness.check(trip_id, {trip_id: Trip(cancelled=True)}, made) == []

    play(scene)


@pytest.mark.parametrize("table", ["flights", "cars", "payments"])
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
