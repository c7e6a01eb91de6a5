"""The one module that talks to DynamoDB: a booking is one row, and every write says what it expects to find.

Nothing here remembers anything: the row is the truth. Every operation may be repeated (Restate retries), and none
can bring back a booking that was undone, however late it arrives: an undo leaves a row even where there was none
(a tombstone: keys, ids and status only), and no other write goes through on a row that was undone.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from restate import TerminalError

from holiday import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Status = Literal["pending", "confirmed", "cancelled", "refunded"]


@dataclass(frozen=True)
class Bookings:
    """The bookings of one service, in the table that the environment variable `table` names."""

    table: str

    def __post_init__(self) -> None:
        """A function that has the table makes its client as it starts, so that the first request need not wait for it.

        It takes longer than all other imports together. Who only calls the services has no table, and no client.
        """
        if self.table in os.environ:
            aws.dynamodb()

    async def held_by_another(self, trip_id: str, booking_id: str) -> bool:
        """Whether the trip has a live booking (pending or confirmed) under another booking id; consistent."""
        return await asyncio.to_thread(self._held_by_another, trip_id, booking_id)

    async def take(self, trip_id: str, booking_id: str, status: Status, **attributes: str) -> None:
        """Write the booking; TerminalError if it was undone before."""
        await asyncio.to_thread(self._take, trip_id, booking_id, status, attributes)

    async def confirm(self, trip_id: str, booking_id: str) -> None:
        """Make a pending booking confirmed; TerminalError if there is none. Never creates a row."""
        await asyncio.to_thread(self._confirm, trip_id, booking_id)

    async def undo(self, trip_id: str, booking_id: str, status: Status) -> None:
        """Give the booking its last status, whatever was there before. Never fails for good."""
        await asyncio.to_thread(self._undo, trip_id, booking_id, status)

    def _held_by_another(self, trip_id: str, booking_id: str) -> bool:
        pages = (
            aws.dynamodb()
            .get_paginator("query")
            .paginate(
                TableName=os.environ[self.table],
                ConsistentRead=True,
                KeyConditionExpression="pk = :trip",
                FilterExpression="id <> :booking AND transaction_status IN (:pending, :confirmed)",
                ExpressionAttributeValues=_values(
                    trip=trip_id, booking=booking_id, pending="pending", confirmed="confirmed"
                ),
            )
        )
        return any(page["Count"] for page in pages)

    def _take(self, trip_id: str, booking_id: str, status: Status, attributes: dict[str, str]) -> None:
        row = {"trip_id": trip_id, "id": booking_id, "transaction_status": status} | attributes
        try:
            aws.dynamodb().put_item(
                TableName=os.environ[self.table],
                Item=_key(trip_id, booking_id) | {name: {"S": value} for name, value in row.items()},
                ConditionExpression="attribute_not_exists(pk) OR transaction_status = :status",
                ExpressionAttributeValues=_values(status=status),
            )
        except aws.dynamodb().exceptions.ConditionalCheckFailedException:
            raise _gone(booking_id) from None

    def _confirm(self, trip_id: str, booking_id: str) -> None:
        try:
            aws.dynamodb().update_item(
                TableName=os.environ[self.table],
                Key=_key(trip_id, booking_id),
                UpdateExpression="SET transaction_status = :confirmed",
                ConditionExpression="transaction_status IN (:pending, :confirmed)",
                ExpressionAttributeValues=_values(pending="pending", confirmed="confirmed"),
            )
        except aws.dynamodb().exceptions.ConditionalCheckFailedException:
            raise _gone(booking_id) from None

    def _undo(self, trip_id: str, booking_id: str, status: Status) -> None:
        aws.dynamodb().update_item(
            TableName=os.environ[self.table],
            Key=_key(trip_id, booking_id),
            UpdateExpression="SET transaction_status = :status, trip_id = :trip, id = :booking",
            ExpressionAttributeValues=_values(status=status, trip=trip_id, booking=booking_id),
        )


def _key(trip_id: str, booking_id: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": trip_id}, "sk": {"S": booking_id}}


def _values(**values: str) -> "dict[str, AttributeValueTypeDef]":
    return {f":{name}": {"S": value} for name, value in values.items()}


def _gone(booking_id: str) -> TerminalError:
    return TerminalError(f"booking {booking_id} is not held: it was undone, or never made", 409, {"reason": "not held"})
