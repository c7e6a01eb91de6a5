"""Books trips through the ingress, as any client would, and reads back what became of them from where it really is: the
tables, and the notices as an SQS subscriber gets them."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import httpx

from demo.cloud import HolidayCloud
from demo.contract import CONTRACT, Row, Trip, complaint
from localcloud.cloud import LocalCloud

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SETTLE_TIMEOUT = 30.0


def run_types(cloud: LocalCloud) -> list[str]:
    """The run types of the contract, and then those that the deployed trips accepts besides."""
    url = f"{cloud.admin_url}/services/trips/handlers/reserve"
    schema = httpx.get(url, trust_env=False).raise_for_status().json()["input_json_schema"]
    accepted: list[str] = schema["$defs"]["TripRequest"]["properties"]["run_type"]["enum"]
    return list(dict.fromkeys([*CONTRACT, *accepted]))


def book(cloud: LocalCloud, trip_id: str, run_type: str) -> Trip:
    """Book one trip through the ingress and time the answer."""
    request = {"trip_id": trip_id} | ({} if run_type == "success" else {"run_type": run_type})
    begin = time.monotonic()
    url = f"{cloud.ingress_url}/trips/reserve"
    answer = httpx.post(url, json={"request": request}, trust_env=False, timeout=120)
    return Trip(trip_id, run_type, answer.status_code, answer.text, time.monotonic() - begin)


def settle(cloud: HolidayCloud, inbox: "Inbox", trips: Sequence[Trip]) -> None:
    """Read rows and notices until every trip is as the contract says, or time is up."""
    tables, deadline = cloud.tables(), time.monotonic() + SETTLE_TIMEOUT
    while True:
        heard = inbox.read()
        for trip in trips:
            trip.rows = dict.fromkeys(tables, Row()) | _rows(cloud, tables, trip.trip_id)
            trip.notices += heard.get(trip.trip_id, [])
        if not any(complaint(trip) for trip in trips) or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def rows_of(cloud: HolidayCloud, trip_id: str) -> dict[str, Row]:
    """What the tables hold for a trip, by kind of booking; a kind without a row is left out."""
    return _rows(cloud, cloud.tables(), trip_id)


def every_row_of(cloud: HolidayCloud, trip_id: str) -> dict[str, list[Row]]:
    """The same with all rows of each kind: a trip that was tried before has more than one."""
    return {kind: _query(cloud, table, trip_id) for kind, table in cloud.tables().items()}


def _rows(cloud: LocalCloud, tables: Mapping[str, str], trip_id: str) -> dict[str, Row]:
    found = {kind: _query(cloud, table, trip_id) for kind, table in tables.items()}
    return {kind: rows[-1] for kind, rows in found.items() if rows}


def _query(cloud: LocalCloud, table: str, trip_id: str) -> list[Row]:
    pages = (
        cloud.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :trip",
            ExpressionAttributeValues={":trip": {"S": trip_id}},
            ConsistentRead=True,
        )
    )
    items = (item for page in pages for item in page["Items"])
    return [{name: str(next(iter(value.values()))) for name, value in item.items()} for item in items]


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
