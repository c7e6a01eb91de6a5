"""One row per booking. Every write says what it expects, may be repeated, and cannot bring back what was undone."""

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Simulated(Exception):  # noqa: N818  the state machine catches by name
    """The caller asked for this failure."""


class NotHeld(Exception):  # noqa: N818
    """The booking was undone, or never made."""


class Duplicate(Exception):  # noqa: N818
    """Another trip holds this id."""


@cache
def dynamodb() -> "DynamoDBClient":
    """Impatient, because it is the state machine that retries."""
    impatient = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return cast(Any, boto3).client("dynamodb", config=impatient)


def begin(step: str, booking: dict[str, str]) -> None:
    """One log line per run of a step."""
    print(json.dumps({"message": step, "trip_id": booking["trip_id"]}))


def simulate(booking: dict[str, str], run_type: str) -> None:
    if booking["run_type"] == run_type:
        raise Simulated(f"simulated, as asked for by run_type {run_type}")


def take(booking: dict[str, str], status: str) -> None:
    """Write the booking. Raises NotHeld if it was undone before."""
    try:
        dynamodb().put_item(**_put(booking, status))
    except dynamodb().exceptions.ConditionalCheckFailedException:
        raise _not_held(booking) from None


def take_through_gate(booking: dict[str, str], status: str) -> None:
    """Write the booking and hold the trip id for it, both or neither. Raises Duplicate or NotHeld."""
    hold: Any = {
        "TableName": os.environ["GATE_TABLE_NAME"],
        "Item": {"pk": {"S": booking["trip_id"]}, "held_by": {"S": booking["id"]}},
        "ConditionExpression": "attribute_not_exists(pk) OR held_by = :id",
        "ExpressionAttributeValues": {":id": {"S": booking["id"]}},
    }
    try:
        dynamodb().transact_write_items(TransactItems=[{"Put": hold}, {"Put": _put(booking, status)}])
    except dynamodb().exceptions.TransactionCanceledException as error:
        held, undone = (reason["Code"] == "ConditionalCheckFailed" for reason in _reasons(error))
        if held:
            raise Duplicate(booking["trip_id"]) from None
        if undone:
            raise _not_held(booking) from None
        raise  # two transactions met: the state machine tries again


def refuse_if_held(booking: dict[str, str]) -> None:
    """Raises Duplicate if another booking holds the trip id."""
    found = dynamodb().get_item(
        TableName=os.environ["GATE_TABLE_NAME"], Key={"pk": {"S": booking["trip_id"]}}, ConsistentRead=True
    )
    if found.get("Item", {}).get("held_by", {}).get("S", booking["id"]) != booking["id"]:
        raise Duplicate(booking["trip_id"])


def confirm(booking: dict[str, str]) -> None:
    """Make a pending booking confirmed. Raises NotHeld if there is none."""
    try:
        dynamodb().update_item(
            TableName=os.environ["TABLE_NAME"],
            Key=_key(booking),
            UpdateExpression="SET transaction_status = :confirmed",
            ConditionExpression="transaction_status IN (:pending, :confirmed)",
            ExpressionAttributeValues={":pending": {"S": "pending"}, ":confirmed": {"S": "confirmed"}},
        )
    except dynamodb().exceptions.ConditionalCheckFailedException:
        raise _not_held(booking) from None


def undo(booking: dict[str, str], status: str) -> None:
    """Give the booking its last status, whatever was there before: a tombstone if nothing was."""
    dynamodb().update_item(
        TableName=os.environ["TABLE_NAME"],
        Key=_key(booking),
        UpdateExpression="SET transaction_status = :status, trip_id = :trip, id = :booking",
        ExpressionAttributeValues={
            ":status": {"S": status},
            ":trip": {"S": booking["trip_id"]},
            ":booking": {"S": booking["id"]},
        },
    )


def open_gate(booking: dict[str, str]) -> None:
    """Let the trip id go if this booking holds it. After the undo: a late reservation then finds its tombstone."""
    try:
        dynamodb().delete_item(
            TableName=os.environ["GATE_TABLE_NAME"],
            Key={"pk": {"S": booking["trip_id"]}},
            ConditionExpression="held_by = :id",
            ExpressionAttributeValues={":id": {"S": booking["id"]}},
        )
    except dynamodb().exceptions.ConditionalCheckFailedException:
        pass


def _put(booking: dict[str, str], status: str) -> Any:
    row = {name: {"S": value} for name, value in booking.items() if name != "run_type"}
    return {
        "TableName": os.environ["TABLE_NAME"],
        "Item": row | _key(booking) | {"transaction_status": {"S": status}},
        "ConditionExpression": "attribute_not_exists(pk) OR transaction_status = :status",
        "ExpressionAttributeValues": {":status": {"S": status}},
    }


def _key(booking: dict[str, str]) -> Any:
    return {"pk": {"S": booking["trip_id"]}, "sk": {"S": booking["id"]}}


def _reasons(error: ClientError) -> Any:
    return error.response.get("CancellationReasons", [])


def _not_held(booking: dict[str, str]) -> NotHeld:
    return NotHeld(f"booking {booking['id']} is not reserved: it was undone, or never made")
