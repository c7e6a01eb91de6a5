"""Trips that begin on one version of the code and end on another, with real deployments: an upgrade and a rollback.

Version 2 adds a field to each message, and a run type. Version 3 changes the messages so that version 1 cannot read
them. Each deployment happens while trips are blocked in each step.
"""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.deploy.variants import APP, edit, edited
from tests.driver import log_lines
from tests.expectations import LATER_STEPS, STEPS
from tests.faults.calls import AwsCall
from tests.faults.harness import CloudBehindProxy, Harness
from tests.faults.invariant import Reservation
from tests.faults.plans import Trip
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.slow

Edits = list[tuple[str, str, str]]
"""A file, a text that it contains once, and its replacement."""
MAY_FAIL = Trip(cancelled=True)
OF_A_BOOKING = (
    '    run_type: Annotated[str, Meta(description="The failure to simulate, if any.")] | UnsetType = UNSET\n'
)
OF_A_COMPENSATION = (
    '    spare: Annotated[str, Meta(description="The status in which the booking is left alone.")] = "nothing"\n'
)
OF_A_NOTICE = (
    '    message: Annotated[str, Meta(description="The outcome in words, with the reason for a failure.")] = ""\n'
)
OF_A_REQUEST = '    currency: ClassVar[str] = "USD"\n'
A_RUN_TYPE = '    "failNotification": "trips.notify",\n'
COMPENSATION = "class Compensation(Struct, frozen=True, omit_defaults=True):"
MORE: Edits = [
    ("messages.py", OF_A_BOOKING, OF_A_BOOKING + '    tier: str = "gold"\n'),
    ("messages.py", COMPENSATION, "class Compensation(Struct, frozen=True):"),
    ("messages.py", OF_A_COMPENSATION, OF_A_COMPENSATION + '    tier: str = "gold"\n'),
    ("notices.py", OF_A_NOTICE, OF_A_NOTICE + '    tier: str = "gold"\n'),
    ("services.py", OF_A_REQUEST, OF_A_REQUEST + '    tier: ClassVar[str] = "gold"\n'),
    ("services.py", A_RUN_TYPE, A_RUN_TYPE + '    "failHotelReservation": "hotels.reserve",\n'),
]
OTHERWISE: Edits = [
    ("messages.py", "Booking(Struct, frozen=True):", 'Booking(Struct, frozen=True, rename={"id": "booking"}):'),
    ("messages.py", COMPENSATION, COMPENSATION.replace("(Struct,", '(Struct, rename={"id": "booking"},')),
    ("notices.py", "return obj.to_json().encode()", 'return obj.to_json().replace("trip_id", "trip").encode()'),
    ("notices.py", "decode(text,", "decode(text.replace(b'\"trip\"', b'\"trip_id\"'),"),
]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sources of each version. Version 1 is the original."""
    found = {"1": ROOT / "lambdas"}
    for name, edits in {"2": MORE, "3": OTHERWISE}.items():
        found[name] = edited(tmp_path_factory.mktemp("sources") / name, {})
        for file, old, new in edits:
            edit(found[name] / "holiday" / file, (old, new))
    return found


@pytest.fixture(scope="module")
def harness(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    ports = Ports.free()
    proxy = runner.run(Proxy(ports.aws).__aenter__())
    with CloudBehindProxy(tmp_path_factory.mktemp("versions"), ports, proxy) as cloud:
        yield Harness(cloud, runner.run(asyncio.to_thread(cloud.deploy, {}, APP)), proxy)
    runner.run(proxy.__aexit__())


class Scene:
    """Trips that are blocked in each step of one version while another one is deployed."""

    def __init__(self, harness: Harness, versions: dict[str, Path], run_types: tuple[str, ...]) -> None:
        self.harness, self.versions = harness, versions
        self.run_id = uuid.uuid4().hex[:8]
        self.trips = {f"{self.run_id}-{step}-{run_type}": (step, run_type) for step in STEPS for run_type in run_types}
        self.invocations: dict[str, str] = {}

    async def deploy(self, version: str) -> str:
        """Deploy a version. Returns the ARN of its trips function."""
        context = {"test:lambdas": str(self.versions[version])}
        self.harness.names.update(await asyncio.to_thread(self.harness.cloud.deploy, context, APP))
        return self.harness.names["TripsVersionArn"]

    async def begin(self, trips_version: str) -> None:
        """Begin the trips on the version that is deployed now, and block each in its step."""
        blocked = True

        def decide(call: AwsCall) -> str | None:
            named = self.trips.get(call.trip_id)
            return "reset" if blocked and named and call.name == named[0] else None

        self.harness.proxy.decide = decide
        for trip_id, (step, run_type) in self.trips.items():
            self.invocations[trip_id] = await self.harness.send(trip_id, run_type)
            service, handler = step.split(".")
            await self.harness.until(f"target = '{service}/{trip_id}/{handler}'")
        # From here on Restate cannot invoke this version of trips: the steps end, and the trips continue later.
        self.harness.proxy.throttled = quote(trips_version.rpartition("function:")[2], safe="").encode()
        blocked = False
        steps = ((*step.split("."), trip_id) for trip_id, (step, _) in self.trips.items())
        await self.harness.until_done(*(f"{service}/{trip_id}/{handler}" for service, handler, trip_id in steps))

    async def end(self) -> list[Reservation]:
        """Let the trips continue, and wait for their answers."""
        self.harness.proxy.throttled = b""
        return [await self.harness.answer(*named) for named in self.invocations.items()]

    async def check(self, made: list[Reservation]) -> list[str]:
        """Wait for the end of everything. Returns the violations of the invariant."""
        return await self.harness.check(self.run_id, dict.fromkeys(self.trips, MAY_FAIL), made)


@pytest.mark.parametrize(
    ("begun_on", "ended_on", "run_types"),
    [
        pytest.param("1", "2", ("", "failNotification"), id="an upgrade"),
        pytest.param("2", "1", ("", "failNotification", "failHotelReservation"), id="a rollback"),
    ],
)
def test_trips_that_are_blocked_in_each_step_end_correctly_on_the_other_version(
    runner: asyncio.Runner,
    harness: Harness,
    versions: dict[str, Path],
    begun_on: str,
    ended_on: str,
    run_types: tuple[str, ...],
) -> None:
    async def deploy_in_mid_trip() -> None:
        scene = Scene(harness, versions, run_types)
        await scene.begin(await scene.deploy(begun_on))
        await scene.deploy(ended_on)

        made = await scene.end()
        assert await scene.check(made) == []
        # a step that was blocked for too long is given up. Every other trip ended as requested
        ends = {reservation.trip_id: (reservation.status, reservation.reason) for reservation in made}
        expected = {"failNotification": (422, "simulated")}
        for trip_id, (_, run_type) in scene.trips.items():
            assert ends[trip_id] in (expected.get(run_type, (200, "")), (422, "given up")), trip_id
        assert any(status == 200 for status, _ in ends.values())

    runner.run(deploy_in_mid_trip())


def test_messages_that_the_other_version_cannot_read_wait_until_a_version_that_can_is_live(
    runner: asyncio.Runner, harness: Harness, versions: dict[str, Path]
) -> None:
    async def deploy_in_mid_trip() -> None:
        # given trips on version 3, whose messages version 1 cannot read, and a rollback to version 1
        scene = Scene(harness, versions, ("",))
        await scene.begin(await scene.deploy("3"))
        await scene.deploy("1")

        # when they continue, then the next step of each fails, and compensations and notices are retried, as logged
        made = await scene.end()
        confirmed = {trip_id for trip_id, (step, _) in scene.trips.items() if step in LATER_STEPS}
        assert {run.trip_id for run in made if run.status == 200} <= confirmed
        waiting = f"target LIKE '%/{scene.run_id}%' AND status != 'completed'"
        flights = {f"flights/{run.trip_id}/cancel" for run in made if run.status == 422}
        assert flights
        assert flights <= {row["target"] for row in await harness.until(waiting)}
        failed = [line for line in await asyncio.to_thread(log_lines, harness.cloud) if scene.run_id in line]
        assert any('"message": "failed"' in line and "waiting for a version" in line for line in failed)

        # and when version 3 is live again, everything ends without intervention
        await scene.deploy("3")
        assert await scene.check(made) == []

    runner.run(deploy_in_mid_trip())
