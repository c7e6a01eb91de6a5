"""Calls a deployed holiday as its users do, and reads the results: rows and notices.

The acceptance and the saga's tests use it with every way of running the services. It uses the ingress, the tables,
Restate's admin API and a queue subscribed to the topic, and does not depend on how the services run.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import httpx

from demo.contract import NEVER, is_tombstone
from holiday.services import SERVICES, Service
from localcloud import tables
from localcloud.admin import Admin
from localcloud.clients import Clients
from localcloud.inbox import Inbox
from localcloud.invocations import SENT_AND_NOT_DONE, unfinished
from localcloud.tables import Row

T = TypeVar("T")

TIMEOUT = 120.0
"""Seconds to wait for a condition: generous, because the machine may be busy."""


class Place(Protocol):
    """Where a holiday runs: a Restate and an AWS. Every LocalCloud is one."""

    @property
    def ingress_url(self) -> str: ...
    @property
    def admin(self) -> Admin: ...
    @property
    def client(self) -> Clients: ...


P = TypeVar("P", bound=Place)


def eventually(
    look: Callable[[], T], is_right: Callable[[T], bool], timeout: float = TIMEOUT, every: float = 0.05
) -> T:
    """Call `look` until its result is right, or for `timeout` seconds. Returns the last result, to be asserted on."""
    deadline = time.monotonic() + timeout
    while not is_right(found := look()) and time.monotonic() < deadline:
        time.sleep(every)
    return found


@dataclass
class Driver(Generic[P]):
    """A deployed holiday.

    Attributes:
        services: The rows of what it books, from which checks derive what to expect.
        cloud: Where it runs.
        names: The stack's outputs, or equivalent values.
        key: The API key for the ingress, if it requires one.
        queue: The name of the queue that receives the notices. It is created, and not deleted.
        wait: See Inbox.
    """

    services: ClassVar[Mapping[str, Service]] = SERVICES

    cloud: P
    names: dict[str, str]
    key: str | None = field(default=None, repr=False)
    queue: str = field(default_factory=lambda: f"notices-of-the-tests-{uuid.uuid4()}")
    wait: int = 0
    http: httpx.Client = field(init=False)
    _inbox: Inbox = field(init=False)
    _notices: list[dict[str, str]] = field(default_factory=list[dict[str, str]], init=False)

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        url = self.cloud.ingress_url
        # A new connection for each request: Restate closes the connection after it has rejected a call of a private
        # handler, and a request that is already on its way is lost.
        alone = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False, limits=alone)
        self._inbox = Inbox(self.cloud.client, self.names["TopicArn"], self.queue, self.wait)

    @property
    def tables(self) -> dict[str, str]:
        """The name of each table that the outputs name: {"Flights": …}."""
        ending = "TableName"
        return {name.removesuffix(ending): table for name, table in self.names.items() if name.endswith(ending)}

    def reserve(self, request: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """`POST /trips/reserve` with this request, or with an empty object."""
        body = {} if request is None else {"request": request}
        return self.http.post("/trips/reserve", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def send(self, request: dict[str, Any] | None = None, delay: str = "") -> str:
        """Like reserve, without waiting, after a `delay` such as "1h". Returns the reservation's invocation id."""
        body = {} if request is None else {"request": request}
        sent = self.http.post("/trips/reserve/send", json=body, params={"delay": delay} if delay else {})
        return sent.raise_for_status().json()["invocationId"]

    def answer(self, invocation: str) -> httpx.Response:
        """Wait for a reservation's response."""
        return self.http.get(f"/restate/invocation/{invocation}/attach")

    def purge(self, invocation: str) -> None:
        """Purge an invocation that has ended, and its idempotency key, as Restate does after the retention time."""
        self.cloud.admin.operate("purge", invocation)
        known = f"SELECT id FROM sys_invocation_status WHERE id = '{invocation}'"
        assert eventually(lambda: self.query(known), lambda found: not found) == []

    def invocation_of(self, response: httpx.Response) -> str:
        """The id of the invocation that sent this response, which its notice has too."""
        return response.headers["x-restate-id"]

    def rows(self, trip_id: str) -> dict[str, list[Row]]:
        """The trip's rows in each table: {"Flights": [...], "Cars": [...], …}."""
        return {table: tables.of_key(self.cloud.client, name, trip_id) for table, name in self.tables.items()}

    def totals(self) -> dict[str, int]:
        """The number of rows in each table, for all trips."""
        return {table: len(tables.all_of(self.cloud.client, name)) for table, name in self.tables.items()}

    def statuses(self, trip_id: str) -> dict[str, list[str]]:
        """The statuses in each table, a tombstone's with "(never taken)" after it."""
        return {
            table: sorted(row["transaction_status"] + (f" ({NEVER})" if is_tombstone(row) else "") for row in rows)
            for table, rows in self.rows(trip_id).items()
        }

    def notices(self, trip_id: str) -> list[dict[str, str]]:
        """Every notice about the trip that has arrived so far, with its SNS subject as `subject`."""
        self._notices += self._inbox.read()
        return [notice for notice in self._notices if notice["trip_id"] == trip_id]

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Query Restate's introspection tables."""
        return self.cloud.admin.query(sql)

    def unfinished(self) -> int:
        """The number of invocations that Restate has not finished, including those about to begin."""
        return len(self.query(unfinished(columns="id")) or self.query(SENT_AND_NOT_DONE))

    def settle(self) -> None:
        """Wait until every invocation has ended, including one-way compensations and notices."""
        assert eventually(self.unfinished, lambda count: count == 0) == 0

    def unfinished_of(self, invocation: str) -> list[str]:
        """The ids of one reservation's unfinished invocations: its own, and those that it called and sent."""
        own = f"SELECT id FROM sys_invocation WHERE id = '{invocation}' OR invoked_by_id = '{invocation}'"
        rows = self.query(unfinished(f"id IN ({own})", "id"))
        rows = rows or self.query(f"SELECT id FROM ({SENT_AND_NOT_DONE} AND id = '{invocation}')")
        return [row["id"] for row in rows]

    def settle_one(self, invocation: str) -> None:
        """Wait until this reservation, and everything that it called and sent, has ended."""
        left = eventually(lambda: self.unfinished_of(invocation), lambda left: not left)
        assert not left, f"not finished after {TIMEOUT:.0f} s: {', '.join(left)}"
