"""Runs plans against real services and checks what they leave against the invariant.

The services run in one process, which is restarted when it dies, or on Lambda. In both cases the proxy is their AWS.
Reservations are made by `send` and `attach` with an idempotency key, so that after a broken
connection it is never unknown whether one was made.
"""

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.cloud import HolidayCloud
from localcloud import tables
from localcloud.inbox import Inbox
from localcloud.ports import Ports
from localcloud.servers import Server
from localcloud.tables import Row
from tests import one_process
from tests.expectations import TABLES
from tests.faults.calls import AwsCall
from tests.faults.invariant import Reservation, violations
from tests.faults.plans import Plan, Trip
from tests.faults.proxy import Proxy
from tests.faults.restate import TIME_OUT, Restate
from tests.one_process import Restarted

Scene = Callable[["Harness", str], Coroutine[Any, Any, None]]
"""What happens to trips. Called with the harness and the prefix of its trip ids."""

INTERNALS = ("Traceback", "Error", "Exception")
"""What no answer may contain. Restate's error for a step that was given up is its last error, or a stack trace."""


class CloudBehindProxy(HolidayCloud):
    """A local cloud with a proxy between its Lambdas and DynamoDB and SNS, and between Restate and Lambda.

    The Lambdas inherit the emulator's environment.
    """

    def __init__(self, directory: Path, ports: Ports, proxy: Proxy, auth: bool = False) -> None:
        super().__init__(directory, ports, auth)
        self.proxy = proxy
        self.restate_settings = {"AWS_ENDPOINT_URL_LAMBDA": proxy.url}
        self._endpoints = {f"AWS_ENDPOINT_URL_{service}": proxy.url for service in ("DYNAMODB", "SNS")}

    def _settings(self, server: Server) -> dict[str, str]:
        return super()._settings(server) | (self._endpoints if server == "ministack" else {})


class Harness(Restate):
    """A cloud, the names of its tables and topic, and the proxy between them and the services."""

    def __init__(self, cloud: HolidayCloud, names: dict[str, str], proxy: Proxy) -> None:
        super().__init__(cloud)
        self.cloud, self.names, self.proxy = cloud, names, proxy
        self._invocations: defaultdict[str, list[str]] = defaultdict(list)
        self._heard: list[dict[str, str]] = []
        self._inbox = Inbox(cloud.client, names["TopicArn"], "notices-under-fault")
        proxy.cancel = self.cancel

    @classmethod
    def in_one_process(cls, cloud: HolidayCloud, proxy: Proxy) -> "Harness":
        """With tables and a topic of its own; `serve` starts the services."""
        return cls(cloud, one_process.create_resources(cloud), proxy)

    def serve(self, lambdas: Path = one_process.LAMBDAS, *, as_lambda: bool = False) -> Restarted:
        """Start the services, or another version of them, in one process and register them.

        With `as_lambda`, Restate calls them over HTTP/1.1, where an await suspends as it does on Lambda.
        """
        services = one_process.services(self.cloud, self.names, lambdas, Restarted, AWS_ENDPOINT=self.proxy.url)
        assert services.start()
        self.cloud.admin.register({"uri": services.url, "use_http_11": as_lambda})
        return services

    async def run(self, plan: Plan) -> list[str]:
        """Book every trip of the plan with its faults. Returns the violations of the invariant."""
        run_id = uuid.uuid4().hex[:8]
        trips = {f"{run_id}-{number}": trip for number, trip in enumerate(plan.trips)}
        self.play(trips)
        reservations = [
            made for some in await asyncio.gather(*(self.book(*named) for named in trips.items())) for made in some
        ]
        return await self.check(run_id, trips, reservations)

    def play(self, trips: Mapping[str, Trip]) -> None:
        """From now on, inject the faults of these trips, by trip id."""

        def decide(call: AwsCall) -> str | None:
            trip = trips.get(call.trip_id)
            return trip.faults.get(f"{call.name} {call.attempt}") if trip else None

        self.proxy.decide = decide

    async def book(self, trip_id: str, trip: Trip) -> list[Reservation]:
        """Make all the reservations of one trip, and wait for their answers."""
        requests = [self.reserve(trip_id, trip.run_type, f"{trip_id}-{caller}") for caller in range(trip.callers)]
        requests += [self.reserve(trip_id, trip.run_type, f"{trip_id}-0") for _ in range(trip.repeats)]
        if trip.cancelled:
            requests.append(self._reserve_and_cancel(trip_id, trip.run_type))
        made = await asyncio.gather(*requests)
        for _ in range(trip.reused):
            await self.purge(made[0].invocation_id)
            made.append(await self.reserve(trip_id, trip.run_type, f"{trip_id}-0"))
        if trip.again:
            made.append(await self.reserve(trip_id, "", f"{trip_id}-again"))
        return list(dict.fromkeys(made))

    async def reserve(self, trip_id: str, run_type: str = "", key: str = "") -> Reservation:
        """Make a reservation and wait for its answer. The request is repeated with its key until Restate answers."""
        return await self.answer(trip_id, await self.send(trip_id, run_type, key))

    async def send(self, trip_id: str, run_type: str = "", key: str = "") -> str:
        """Make a reservation without waiting for its end. Returns its invocation id."""
        request = {"trip_id": trip_id} | ({"run_type": run_type} if run_type else {})
        url, headers = f"{self.cloud.ingress_url}/trips/reserve/send", {"idempotency-key": key or uuid.uuid4().hex}
        answer = await self.ask("POST", url, json={"request": request}, headers=headers)
        invocation: str = answer.raise_for_status().json()["invocationId"]
        if invocation not in self._invocations[trip_id]:
            self._invocations[trip_id].append(invocation)
        return invocation

    async def answer(self, trip_id: str, invocation: str) -> Reservation:
        """Wait for a reservation's answer."""
        answer = await self.ask("GET", f"{self.cloud.ingress_url}/restate/invocation/{invocation}/attach")
        return Reservation(trip_id, invocation, answer.status_code, answer.text)

    async def cancel(self, trip_id: str) -> None:
        """Cancel all reservations of this trip so far, and wait for the first one if there is none yet."""
        async with asyncio.timeout(TIME_OUT):
            while not self._invocations[trip_id]:
                await asyncio.sleep(0.002)
        for invocation in tuple(self._invocations[trip_id]):
            await self.operate("cancel", invocation)

    async def check(self, run_id: str, trips: Mapping[str, Trip], reservations: Sequence[Reservation]) -> list[str]:
        """Wait for the end of everything. Returns the violations by the trips whose ids begin with `run_id`.

        While a one-way message is between two partitions of Restate, no invocation is unfinished. So an apparent
        violation is checked again for a while.
        """
        surprises = [
            f"{reservation.trip_id} failed for no reason: {reservation.answer}"
            for reservation in reservations
            if reservation.status != 200 and not trips[reservation.trip_id].may_fail()
        ]
        surprises += [
            f"{reservation.trip_id} never began, although it was not cancelled: {reservation.answer}"
            for reservation in reservations
            if reservation.never_began and not trips[reservation.trip_id].is_cancelled()
        ]
        surprises += [
            f"{reservation.trip_id} was booked although it should have failed"
            for reservation in reservations
            if reservation.status == 200 and trips[reservation.trip_id].must_fail()
        ]
        surprises += [
            f"{reservation.trip_id} was told internals of the services: {reservation.answer}"
            for reservation in reservations
            if any(word in reservation.answer for word in INTERNALS)
        ]
        found: list[str] = []
        for _ in range(20):
            stuck = await self.settle()
            await self.proxy.release()
            rows, notices = await asyncio.to_thread(self.rows, run_id), await asyncio.to_thread(self.notices, run_id)
            found = stuck + violations(reservations, rows, notices)
            if stuck or not found:
                break
            await asyncio.sleep(0.5)
        return found + surprises

    def rows(self, run_id: str) -> dict[str, list[Row]]:
        """All rows of the trips whose ids begin with `run_id`."""
        client = self.cloud.client
        return {name: tables.all_of(client, self.names[f"{table}TableName"], run_id) for name, table in TABLES.items()}

    def notices(self, run_id: str) -> list[dict[str, str]]:
        """Every notice so far about trips whose ids begin with `run_id`."""
        self._heard += self._inbox.read()
        return [notice for notice in self._heard if notice["trip_id"].startswith(run_id)]

    async def _reserve_and_cancel(self, trip_id: str, run_type: str) -> Reservation:
        invocation = await self.send(trip_id, run_type, f"{trip_id}-cancelled")
        await self.operate("cancel", invocation)
        return await self.answer(trip_id, invocation)


def count(reservations: Sequence[Reservation]) -> Counter[int]:
    """How many reservations were answered with each HTTP status."""
    return Counter(reservation.status for reservation in reservations)
