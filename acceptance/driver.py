"""Drives a deployed holiday the way its users do, and reads what it left: rows and notices.

The acceptance and the saga's tests use it against every way of running the services. It knows the ingress, the tables,
Restate's admin API and a queue that is subscribed to the topic, and nothing of how the services are run.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import httpx

from holiday.services import SERVICES, Service
from localcloud.clients import Clients
from localcloud.invocations import SENT_AND_NOT_DONE, unfinished

T = TypeVar("T")
Row = dict[str, str]

TIMEOUT = 120.0
"""Seconds that a condition may take to come true: generous, because the machine may be busy with other things."""


class Place(Protocol):
    """Where a holiday runs: a Restate and an AWS. Every LocalCloud is one."""

    @property
    def ingress_url(self) -> str: ...
    @property
    def admin_url(self) -> str: ...
    @property
    def client(self) -> Clients: ...


P = TypeVar("P", bound=Place)


def eventually(
    look: Callable[[], T], is_right: Callable[[T], bool], timeout: float = TIMEOUT, every: float = 0.05
) -> T:
    """What `look` finds as soon as it is right, or what it found last: the caller's assertion then shows it."""
    deadline = time.monotonic() + timeout
    while not is_right(found := look()) and time.monotonic() < deadline:
        time.sleep(every)
    return found


def http(url: str, key: str | None = None) -> httpx.Client:
    """A client of this server, which gets the key if there is one. No proxy and no file of the caller's takes part."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False)


def ask(admin: httpx.Client, sql: str) -> list[dict[str, Any]]:
    """Ask Restate's introspection tables. For a moment after a start it answers 500."""
    answer = eventually(
        lambda: admin.post("/query", json={"query": sql}, headers={"accept": "application/json"}),
        lambda found: not found.is_server_error,
    )
    return answer.raise_for_status().json()["rows"]


@dataclass
class Driver(Generic[P]):
    """A holiday service in `cloud`. `names` holds the stack's outputs, or what stands in for them.

    key: the API key that Restate demands. queue: the name of the queue that hears the notices; made, not deleted.
    poll: for how many seconds one request waits for notices. On AWS, one that does not wait may miss some.
    services: the rows of what it books, from which checks know what to expect.
    """

    services: ClassVar[Mapping[str, Service]] = SERVICES

    cloud: P
    names: dict[str, str]
    key: str | None = field(default=None, repr=False)
    queue: str = field(default_factory=lambda: f"notices-of-the-tests-{uuid.uuid4()}")
    poll: int = 0
    http: httpx.Client = field(init=False)
    admin: httpx.Client = field(init=False)
    _queue_url: str = field(init=False)
    _notices: list[dict[str, str]] = field(default_factory=list[dict[str, str]], init=False)

    def __post_init__(self) -> None:
        self.http, self.admin = http(self.cloud.ingress_url, self.key), http(self.cloud.admin_url, self.key)
        sqs, topic = self.cloud.client("sqs"), self.names["TopicArn"]
        self._queue_url = sqs.create_queue(QueueName=self.queue)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        may_send = {
            **{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"},
            **{"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": policy})
        self.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    @property
    def tables(self) -> dict[str, str]:
        """The name of each table that the outputs name: {"Flights": …}."""
        ending = "TableName"
        return {name.removesuffix(ending): table for name, table in self.names.items() if name.endswith(ending)}

    def reserve(self, request: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """`POST /trips/reserve` with this request, or with an empty object."""
        body = {} if request is None else {"request": request}
        return self.http.post("/trips/reserve", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def invocation_of(self, response: httpx.Response) -> str:
        """Which run of the saga answered: the id that its notice carries."""
        return response.headers["x-restate-id"]

    def rows(self, trip_id: str) -> dict[str, list[Row]]:
        """The trip's rows in each table: {"Flights": [...], "Cars": [...], …}."""
        return {table: self._rows(name, trip_id) for table, name in self.tables.items()}

    def totals(self) -> dict[str, int]:
        """How many rows each table holds, of all trips."""
        dynamodb = self.cloud.client("dynamodb")
        return {
            name: dynamodb.scan(TableName=table, Select="COUNT", ConsistentRead=True)["Count"]
            for name, table in self.tables.items()
        }

    def statuses(self, trip_id: str) -> dict[str, list[str]]:
        """The statuses in each table, a tombstone's with "(never taken)" after it."""
        return {
            table: sorted(row["transaction_status"] + (" (never taken)" if len(row) == 5 else "") for row in rows)
            for table, rows in self.rows(trip_id).items()
        }

    def notices(self, trip_id: str) -> list[dict[str, str]]:
        """Every notice about the trip that has arrived so far, with its SNS subject as `subject`."""
        sqs = self.cloud.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=self.poll
        ).get("Messages"):
            for message in messages:
                envelope = json.loads(message.get("Body", ""))
                self._notices.append(json.loads(envelope["Message"]) | {"subject": envelope["Subject"]})
                sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message.get("ReceiptHandle", ""))
        return [notice for notice in self._notices if notice["trip_id"] == trip_id]

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate's introspection tables."""
        return ask(self.admin, sql)

    def unfinished(self) -> int:
        """How many invocations Restate has not finished, those that are about to begin included."""
        return len(self.query(unfinished(columns="id")) or self.query(SENT_AND_NOT_DONE))

    def settle(self) -> None:
        """Wait until every invocation, one-way undo and notice included, has ended."""
        assert eventually(self.unfinished, lambda count: count == 0) == 0

    def unfinished_of(self, invocation: str) -> list[str]:
        """The ids of what Restate has not finished of one reservation: itself, and what it has called and sent."""
        own = f"SELECT id FROM sys_invocation WHERE id = '{invocation}' OR invoked_by_id = '{invocation}'"
        rows = self.query(unfinished(f"id IN ({own})", "id"))
        rows = rows or self.query(f"SELECT id FROM ({SENT_AND_NOT_DONE} AND id = '{invocation}')")
        return [row["id"] for row in rows]

    def settle_one(self, invocation: str) -> None:
        """Wait until this reservation, and what it has called and sent, has ended: whatever other trips do."""
        left = eventually(lambda: self.unfinished_of(invocation), lambda left: not left)
        assert not left, f"not finished after {TIMEOUT:.0f} s: {', '.join(left)}"

    def _rows(self, table: str, trip_id: str) -> list[Row]:
        pages = (
            self.cloud.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :trip",
                ExpressionAttributeValues={":trip": {"S": trip_id}},
            )
        )
        return [{name: value.get("S", "") for name, value in row.items()} for page in pages for row in page["Items"]]
