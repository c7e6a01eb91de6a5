"""Rolling back a deployment that added a service, a hotel: trips begun on it end on it, booked or rolled back.

Trips are blocked between Restate and Lambda, each in another handler, while the previous version is deployed again,
without and with IAM enforced.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcloud import tables
from tests.deploy.restate_cloud import Deployed, deployed_for_restate_cloud
from tests.deploy.state import services
from tests.deploy.variants import with_hotels
from tests.driver import eventually, logged
from tests.expectations import of_the_original_three
from tests.faults.conftest import proxied
from tests.faults.harness import CloudBehindProxy, Harness
from tests.faults.invariant import Reservation
from tests.faults.plans import Trip

pytestmark = [pytest.mark.slow, of_the_original_three]

RESERVATIONS = ("flights/reserve", "hotels/reserve", "cars/reserve", "payments/process")
CONFIRMATIONS = ("flights/confirm", "hotels/confirm", "cars/confirm")
COMPENSATIONS = ("payments/refund", "hotels/cancel", "cars/cancel", "flights/cancel")
WHOLE, ROLLED_BACK = Trip(), Trip(run_type="failNotification")
BLOCKED = [
    *(
        (handler, trip)
        for handler in ("trips/reserve", *RESERVATIONS, *CONFIRMATIONS, "trips/notify")
        for trip in (WHOLE, ROLLED_BACK)
    ),
    *((handler, ROLLED_BACK) for handler in COMPENSATIONS),
]
OF_THE_ORIGINAL = {"trips", "flights", "cars", "payments"}


class Holiday:
    """The deployed holiday, and its blocked trips."""

    def __init__(self, deployed: Deployed, harness: Harness) -> None:
        self.deployed, self.harness, self.cloud = deployed, harness, deployed.cloud
        self.run_id, self.trips, self.made = uuid.uuid4().hex[:8], dict[str, Trip](), dict[str, str]()
        self._blocked, self._waiting = dict[str, str](), set[str]()
        harness.proxy.holds = self._holds

    async def deploy(self, context: dict[str, str]) -> str:
        """Deploy the holiday as it is, or `with_hotels`. Returns the name of the hotels' table, if any."""
        outputs = await asyncio.to_thread(self.deployed.deploy, **context)
        return outputs.get("HotelsTableName", "")

    async def begin(self, handler: str, trip: Trip) -> str:
        """Begin a trip and wait until it is blocked in this handler. Returns its invocation id."""
        trip_id = f"{self.run_id}-{len(self.trips):02}"
        self.trips[trip_id], self._blocked[trip_id] = trip, handler
        self.made[trip_id] = await self.harness.send(trip_id, trip.run_type)
        assert await until(lambda: trip_id in self._waiting), f"{trip_id} is not blocked in {handler}"
        return self.made[trip_id]

    async def end(self, which: Callable[[str], bool] = bool) -> list[Reservation]:
        """Unblock the trips in these handlers, or in all, and wait for their answers."""
        going_on = [trip_id for trip_id, handler in self._blocked.items() if which(handler)]
        for trip_id in going_on:
            del self._blocked[trip_id]
        return [await self.harness.answer(trip_id, self.made[trip_id]) for trip_id in going_on]

    def services(self) -> set[str]:
        return set(services(self.cloud))

    def hotels(self, table: str) -> dict[str, list[str]]:
        """The statuses of each trip's hotels."""
        found: dict[str, list[str]] = {}
        for row in tables.all_of(self.cloud.client, table):
            found.setdefault(row["pk"], []).append(row["transaction_status"])
        return found

    def _holds(self, handler: str, payload: bytes) -> bool:
        for trip_id, blocked in self._blocked.items():
            if blocked == handler and trip_id.encode() in payload:
                self._waiting.add(trip_id)
                return True
        return False


async def until(is_so: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(eventually, is_so, bool)


@pytest.fixture(scope="module", params=[False, True], ids=["IAM not enforced", "IAM enforced"])
def original(
    runner: asyncio.Runner, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployed, CloudBehindProxy]]:
    """The holiday as it is."""
    directory = tmp_path_factory.mktemp("rollback")
    with proxied(runner, directory, {}, auth=request.param) as cloud, ExitStack() as exits:
        shaped = deployed_for_restate_cloud(cloud)
        yield runner.run(asyncio.to_thread(exits.enter_context, shaped)), cloud


@pytest.fixture
def holiday(original: tuple[Deployed, CloudBehindProxy]) -> Holiday:
    deployed, cloud = original
    return Holiday(deployed, Harness(cloud, deployed.outputs, cloud.proxy))


def test_trips_that_are_blocked_in_each_step_end_on_the_version_they_began_on(
    runner: asyncio.Runner, holiday: Holiday, tmp_path: Path
) -> None:
    asked = holiday.deployed.authenticating_proxy.asked

    async def scene() -> None:
        # given a deployment that added the hotel, and trips blocked in each of its steps
        table = await holiday.deploy(with_hotels(tmp_path / "lambdas", drain=240))
        for blocked in BLOCKED:
            await holiday.begin(*blocked)

        # when the previous version is deployed again, then new trips run on it at once, without a hotel
        rollback = asyncio.create_task(holiday.deploy({}))
        assert await until(lambda: "PATCH /services/hotels" in asked)
        new = await holiday.harness.reserve(f"{holiday.run_id}-new")

        # and when no hotel call is left, then the removal still waits for trips that will make one: it checks twice.
        # The last of them are in their first attempt
        made: list[Reservation] = []
        go_on: list[Callable[[str], bool]] = [
            lambda handler: handler.startswith("hotels/"),
            lambda handler: handler != "trips/reserve",
        ]
        for which in go_on:
            made += await holiday.end(which)
            seen = asked.count("POST /query")
            assert await until(lambda seen=seen: asked.count("POST /query") > seen + 4 or rollback.done())
            assert not rollback.done()
            assert "hotels" in holiday.services()

        # and when those continue too, then each trip ends as requested
        made += await holiday.end()
        await rollback
        assert await holiday.harness.check(holiday.run_id, holiday.trips | {new.trip_id: WHOLE}, [new, *made]) == []
        right = {trip_id: ["cancelled" if trip.run_type else "confirmed"] for trip_id, trip in holiday.trips.items()}
        assert holiday.hotels(table) == right

        # and the hotels are no longer registered, and Restate may no longer invoke them
        assert holiday.services() == OF_THE_ORIGINAL
        policies = str(holiday.cloud.client("iam").get_account_authorization_details()["RoleDetailList"])
        assert "CarsService" in policies and "HotelsService" not in policies

    runner.run(scene())


@pytest.mark.parametrize("original", [False], ids=["IAM not enforced"], indirect=True)
def test_a_trip_that_does_not_end_in_time_is_logged_and_ends_when_the_service_is_back(
    runner: asyncio.Runner, holiday: Holiday, tmp_path: Path
) -> None:
    async def scene() -> None:
        # given a trip that is blocked before it calls the hotel, and a removal that waits only for a moment
        added = with_hotels(tmp_path / "lambdas", drain=3)
        await holiday.deploy(added)
        invocation = await holiday.begin("flights/reserve", WHOLE)

        # when the deployment is rolled back, then the service is deregistered, and the log names the trip
        await holiday.deploy({})
        assert holiday.services() == OF_THE_ORIGINAL
        lines = [line for found in logged(holiday.cloud).values() for line in found]
        [said] = [line for line in lines if "begun on older versions" in line]
        assert invocation in said

        # and the trip is retried
        ended = asyncio.create_task(holiday.end())
        await holiday.harness.until(f"id = '{invocation}' AND failures > 0")

        # until the service is registered again
        table = await holiday.deploy(added)
        assert await holiday.harness.check(holiday.run_id, holiday.trips, await ended) == []
        assert holiday.hotels(table) == {trip_id: ["confirmed"] for trip_id in holiday.trips}

    runner.run(scene())
