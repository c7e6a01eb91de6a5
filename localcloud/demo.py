"""The demo: one trip that succeeds and one for each simulated failure, booked through the ingress as any client would.

What a person sees is read back from where it really is: the three tables, and the notices as an SQS subscriber gets
them. `complaint` compares each trip with the contract, so the table cannot look right by accident.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from localcloud.cloud import LocalCloud
from localcloud.trip import follow

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

TABLES = {"flight": "FlightsTableName", "car": "CarsTableName", "payment": "PaymentsTableName"}
NEVER, NOTHING = "never taken", "—"
CONTRACT = {  # run type: what the flight, the car and the payment have come to once everything has settled
    "success": ("confirmed", "confirmed", "confirmed"),
    "failFlightsReservation": (NEVER, NOTHING, NOTHING),
    "failCarRentalReservation": ("cancelled", NEVER, NOTHING),
    "failPayment": ("cancelled", "cancelled", NEVER),
    "failFlightsConfirmation": ("cancelled", "cancelled", "refunded"),
    "failCarRentalConfirmation": ("cancelled", "cancelled", "refunded"),
    "failNotification": ("cancelled", "cancelled", "refunded"),
}
SETTLE_TIMEOUT = 30.0

Row = Mapping[str, str]


@dataclass
class Trip:
    """A booked trip and what became of it. `run_type` is "success" for the one without a simulated failure."""

    trip_id: str
    run_type: str
    status: int
    answer: str
    seconds: float
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    notices: list[str] = field(default_factory=list[str])


def run(cloud: LocalCloud, console: Console) -> bool:
    """Book the seven trips, show what they left behind, and return whether all of it is as the contract says."""
    inbox = Inbox(cloud, cloud.outputs()["TopicArn"])
    token = uuid.uuid4().hex[:6]
    with cloud.step("Booking seven trips") as note:
        trips: list[Trip] = []
        for run_type in CONTRACT:
            note(run_type)
            trips.append(book(cloud, f"demo-{token}-{run_type}", run_type))
    with cloud.step("Waiting for the undo and the notices") as note:
        settle(cloud, inbox, trips)
    console.print("\nThe first of them through all four functions, as one query of their logs tells it:\n")
    follow(cloud, trips[0].trip_id, console)
    show(trips, console)
    complaints = {trip.trip_id: trouble for trip in trips if (trouble := complaint(trip))}
    for trip_id, trouble in complaints.items():
        console.print(f"✗ {trip_id}: {trouble}", style="red", markup=False, highlight=False, soft_wrap=True)
    show_what_next(cloud, console, trips[-1].trip_id)
    return not complaints


def book(cloud: LocalCloud, trip_id: str, run_type: str) -> Trip:
    """Book one trip through the ingress and time the answer."""
    request = {"trip_id": trip_id} | ({} if run_type == "success" else {"run_type": run_type})
    begin = time.monotonic()
    url = f"{cloud.ingress_url}/trips/reserve"
    answer = httpx.post(url, json={"request": request}, trust_env=False, timeout=120)
    return Trip(trip_id, run_type, answer.status_code, answer.text, time.monotonic() - begin)


def settle(cloud: LocalCloud, inbox: "Inbox", trips: Sequence[Trip]) -> None:
    """Read rows and notices until every trip is as the contract says, or time is up."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while True:
        heard = inbox.read()
        for trip in trips:
            trip.rows = rows_of(cloud, trip.trip_id)
            trip.notices += heard.get(trip.trip_id, [])
        if not any(complaint(trip) for trip in trips) or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def rows_of(cloud: LocalCloud, trip_id: str) -> dict[str, Row]:
    """What the three tables hold for a trip, by kind of booking; a kind without a row is left out."""
    dynamodb, outputs = cloud.client("dynamodb"), cloud.outputs()
    rows: dict[str, Row] = {}
    for kind, output in TABLES.items():
        found = dynamodb.query(
            TableName=outputs[output],
            KeyConditionExpression="pk = :trip",
            ExpressionAttributeValues={":trip": {"S": trip_id}},
            ConsistentRead=True,
        )
        for item in found["Items"]:
            rows[kind] = {name: str(next(iter(value.values()))) for name, value in item.items()}
    return rows


class Inbox:
    """An SQS queue that is subscribed to the topic; made on the first demo of a cloud and used again by the next."""

    def __init__(self, cloud: LocalCloud, topic: str) -> None:
        self._sqs: SQSClient = cloud.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="holiday-demo")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        raw = {"RawMessageDelivery": "true"}
        cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)

    def read(self) -> dict[str, list[str]]:
        """The notices that have arrived since the last call: the status of each, by trip id."""
        heard: dict[str, list[str]] = {}
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                notice = cast("dict[str, str]", json.loads(message.get("Body", "{}")))
                heard.setdefault(notice["trip_id"], []).append(notice["status"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message.get("ReceiptHandle", ""))
        return heard


def complaint(trip: Trip) -> str | None:
    """What about this trip is not as the contract says, or None."""
    status, notice = (200, "success") if trip.run_type == "success" else (422, "failure")
    if trip.status != status:
        return f"HTTP {trip.status} instead of {status}: {trip.answer}"
    for kind, expected in zip(TABLES, CONTRACT[trip.run_type], strict=True):
        if (found := word(trip.rows.get(kind))) != expected:
            return f"the {kind} is {found!r} instead of {expected!r}"
    if trip.notices != [notice]:
        return f"notices {trip.notices or 'missing'} instead of one {notice}"
    return None


def word(row: Row | None) -> str:
    """One row in a word or two. A tombstone, which has keys, ids and a status only, stands for nothing taken."""
    if row is None:
        return NOTHING
    status = row.get("transaction_status", "without a status")
    is_tombstone = set(row) <= {"pk", "sk", "id", "trip_id", "transaction_status"}
    return NEVER if is_tombstone and status in ("cancelled", "refunded") else status


def show(trips: Sequence[Trip], console: Console) -> None:
    """Print the one table."""
    colours = {
        "confirmed": "green",
        "success": "green",
        "cancelled": "yellow",
        "refunded": "yellow",
        "failure": "yellow",
    }
    padding = (0, 2 if console.width >= 94 else 0, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)
    for heading in ("run type", "HTTP", "flight", "car", "payment", "notice"):
        table.add_column(heading, no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for trip in trips:
        words = [word(trip.rows.get(kind)) for kind in TABLES]
        notices = ", ".join(trip.notices) or "—"
        cells = [Text(cell, style=colours.get(cell, "dim")) for cell in (*words, notices)]
        mark = Text("✗ ", style="red") if complaint(trip) else Text("")
        name = mark + Text(trip.run_type)
        http = Text(str(trip.status), style="green" if trip.status == 200 else "yellow")
        table.add_row(name, http, *cells, f"{trip.seconds:.2f}s")
    console.print()
    console.print(table)
    console.print("\nnever taken: undone before it was ever booked; —: the trip did not get that far\n", style="dim")


def show_what_next(cloud: LocalCloud, console: Console, trip_id: str | None = None) -> None:
    """Print where everything is, and lines that work when they are pasted. `trip_id` is worth a closer look."""
    outputs = cloud.outputs()
    url = f"{cloud.ingress_url}/trips/reserve"
    lines = [
        f"Ingress       {cloud.ingress_url}",
        f"Restate's UI  {cloud.admin_url}/ui/",
        f"Tables        {', '.join(outputs[output] for output in TABLES.values())}",
        "",
        "Try it:",
        f"  curl {url} --json '{{}}'",
        f"""  curl {url} --json '{{"request": {{"run_type": "failPayment"}}}}'""",
        f"""  curl {url} --json '{{"request": {{"depart_city": "Oslo", "rental": "Volvo"}}}}'""",
        *([f"  make trip ID={trip_id}"] if trip_id else []),
        "",
        "Stop it:",
        "  make down",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
