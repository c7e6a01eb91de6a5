"""An outage of one table, or of the topic, does not affect trips that do not need it.

Restate limits concurrent invocations, by default to 1,000 per partition. Here the limit is six, and sixty compensations
or notices are stuck. With VQueues, an invocation that waits for its next attempt does not count towards the limit.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator

import pytest

from holiday.retries import RETRY_UP_TO_A_MINUTE
from localcloud.invocations import unfinished
from localcloud.servers import WITHOUT_VQUEUES
from tests.faults.conftest import one_process
from tests.faults.harness import TIME_OUT, Harness
from tests.faults.invariant import Reservation
from tests.faults.plans import Trip
from tests.faults.proxy import refusing
from tests.unit.test_retries import attempts_within

SLOTS, STUCK = 6, 60
SIX_SLOTS = {
    "RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT": str(SLOTS),
    "RESTATE_DEFAULT_NUM_PARTITIONS": "1",  # the limit is per partition
}
NEEDED_BY = {"payments.refund": "failPayment", "trips.notify": ""}
"""Calls that are retried without end, each with the run type of trips that get stuck in it."""


@pytest.fixture(scope="module")
def six_slots(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with one_process(runner, tmp_path_factory.mktemp("six-slots"), SIX_SLOTS, as_lambda=True) as harness:
        yield harness


@pytest.fixture(scope="module")
def six_slots_without_vqueues(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    directory = tmp_path_factory.mktemp("six-slots-without")
    with one_process(runner, directory, SIX_SLOTS | WITHOUT_VQUEUES, as_lambda=True) as harness:
        yield harness


class Outage:
    """Trips that are stuck in one call, and other trips that do not need it. The trip ids begin with `name`."""

    def __init__(self, harness: Harness, call: str, name: str) -> None:
        self.harness, self.call, self.name = harness, call, name
        self._made: list[tuple[str, str]] = []
        self._trips: dict[str, Trip] = {}
        harness.play({})

    async def begin(self, fault: str, number: int = STUCK) -> None:
        """From now on the call fails; send this many trips that need it."""
        self.harness.proxy.decide = refusing(self.call, fault)
        for _ in range(number):
            await self.send(NEEDED_BY[self.call])

    async def send(self, run_type: str) -> tuple[str, str]:
        """Make a reservation. Returns its trip id and invocation id."""
        trip_id = f"{self.name}-{len(self._made)}"
        self._trips[trip_id] = Trip(run_type)
        self._made.append((trip_id, await self.harness.send(trip_id, run_type)))
        return self._made[-1]

    async def seconds_of_other_trips(self, number: int = 6) -> list[float]:
        """The seconds until each of these trips is answered. By turns, one is booked and one fails early."""
        found: list[float] = []
        for n in range(number):
            begin = time.monotonic()
            await self.harness.answer(*await self.send("failCarRentalReservation" if n % 2 else ""))
            found.append(time.monotonic() - begin)
        return found

    async def stuck(self, number: int) -> None:
        """Wait until this many are stuck, each after at least one failed attempt."""
        service, handler = self.call.split(".")
        condition = f"target LIKE '{service}/%{handler}' AND status = 'backing-off' AND failures > 0"
        async with asyncio.timeout(TIME_OUT):
            while len(await self.harness.query(unfinished(condition, "id"))) < number:
                await asyncio.sleep(0.1)

    async def recover(self) -> list[str]:
        """Make the call work again and wait until everything has ended. Returns the violations of the invariant."""
        self.harness.play({})
        made: list[Reservation] = [await self.harness.answer(*sent) for sent in self._made]
        return await self.harness.check(f"{self.name}-", self._trips, made)


@pytest.mark.parametrize("call", NEEDED_BY)
def test_sixty_stuck_invocations_do_not_delay_other_trips(
    runner: asyncio.Runner, six_slots: Harness, call: str
) -> None:
    async def scene() -> None:
        outage = Outage(six_slots, call, f"stuck in {call}")
        usual = await outage.seconds_of_other_trips()

        # when sixty are stuck, then other trips are answered as fast as before
        await outage.begin("reset")
        await outage.stuck(STUCK)
        during = await outage.seconds_of_other_trips()
        print(f"{call}: usually {statistics.median(usual):.2f} s, with {STUCK} stuck {statistics.median(during):.2f} s")
        assert statistics.median(during) < statistics.median(usual) + 1

        # and everything ends correctly
        await outage.stuck(STUCK)
        assert await outage.recover() == []

    runner.run(scene())


@pytest.mark.slow
@pytest.mark.parametrize("call", NEEDED_BY)
def test_without_vqueues_six_stuck_invocations_stop_every_other_trip(
    runner: asyncio.Runner, six_slots_without_vqueues: Harness, call: str
) -> None:
    async def scene() -> None:
        outage = Outage(six_slots_without_vqueues, call, f"blocked by {call}")
        await outage.begin("reset")
        await outage.stuck(SLOTS)

        # when another trip is requested, then it is not answered during the outage
        other = await outage.send("failFlightsReservation")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(outage.harness.answer(*other), timeout=20)

        # and everything ends correctly afterwards
        assert await outage.recover() == []

    runner.run(scene())


@pytest.mark.slow
def test_hanging_invocations_delay_other_trips_until_their_retry_intervals_have_grown(
    runner: asyncio.Runner, six_slots: Harness
) -> None:
    async def scene() -> None:
        outage = Outage(six_slots, "payments.refund", "hanging")
        usual = statistics.median(await outage.seconds_of_other_trips())
        begin = time.monotonic()
        await outage.begin("hanging", STUCK // 2)

        longest = last = 0.0
        while (elapsed := time.monotonic() - begin) < 60 or last > usual + 3:
            assert elapsed < 2 * TIME_OUT
            [last] = await outage.seconds_of_other_trips(1)
            longest = max(longest, last)
        print(
            f"{STUCK // 2} hanging: another trip took {longest:.0f} s at most, and {last:.1f} s after {elapsed:.0f} s"
        )
        assert await outage.recover() == []

    runner.run(scene())


@pytest.mark.slow
def test_stuck_compensations_are_retried_as_the_policy_says_and_end_soon_after_the_recovery(
    runner: asyncio.Runner, six_slots: Harness
) -> None:
    async def scene() -> None:
        outage, number, seconds = Outage(six_slots, "payments.refund", "counted"), 20, 100
        before = six_slots.proxy.calls[outage.call]
        await outage.begin("reset", number)
        await asyncio.sleep(seconds)
        attempts = six_slots.proxy.calls[outage.call] - before
        fewest, most = (attempts_within(RETRY_UP_TO_A_MINUTE, seconds, jitter) for jitter in (1.4, 1))
        assert number * fewest <= attempts <= number * most

        begin = time.monotonic()
        assert await outage.recover() == []
        print(f"{number}, {seconds} s: {attempts} attempts; ended {time.monotonic() - begin:.0f} s after the recovery")

    runner.run(scene())
