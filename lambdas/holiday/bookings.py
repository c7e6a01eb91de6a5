"""The one module that talks to DynamoDB: a booking is one row, and every write says what it expects to find.

Nothing here remembers anything: the row is the truth. Every operation may be repeated (Restate retries), and none
can bring back a booking that was compensated, however late it arrives: a compensation leaves a row even where there was
none (a tombstone: keys, ids and status only), and no other write goes through on a row that was compensated.
"""

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from holiday import aws
from holiday.failures import BookingError
from holiday.messages import Booking, Compensation
from holiday.services import Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

LONGEST_TRIP_ID, LONGEST_ID = 2048, 1024
"""Bytes of a partition key and of a sort key, by DynamoDB's limits."""


class Found(Struct, frozen=True):
    """What there is of a trip before it is booked: its own booking's status, if any, and whether another is live."""

    own: str | None
    another_is_live: bool


class Bookings(Struct, frozen=True):
    """The bookings of one service, in the table that its environment variable names."""

    service: Service

    def __post_init__(self) -> None:
        """A function that has the table makes its client as it starts, so that the first request need not wait for it.

        It takes longer than all other imports together. Who only calls the services has no table, and no client.
        """
        if self.service.table_variable in os.environ:
            aws.dynamodb()

    async def look(self, trip_id: str, booking_id: str) -> Found:
        """What the trip has by now under this booking id and under others; consistent."""
        return await aws.call(self._look, trip_id, booking_id)

    async def reserve(self, trip_id: str, booking: Booking) -> None:
        """Write the booking and its attributes; BookingError if it was compensated before."""
        await aws.call(self._reserve, trip_id, booking)

    async def confirm(self, trip_id: str, booking_id: str) -> None:
        """Make a pending booking confirmed; BookingError if there is none. Never creates a row."""
        await aws.call(self._confirm, trip_id, booking_id)

    async def compensate(self, trip_id: str, compensation: Compensation) -> None:
        """Give the booking the service's last status, whatever was there before except what the compensation spares.

        Never fails for good, but for an id that no row can have, which only a person can send (BookingError 400).
        """
        for kind, key, longest in (("trip", trip_id, LONGEST_TRIP_ID), ("booking", compensation.id, LONGEST_ID)):
            if not 0 < len(key.encode()) <= longest:
                why = f"A {kind} id has 1 to {longest:,} bytes, this one {len(key.encode()):,}."
                raise BookingError("invalid", why, 400)
        await aws.call(self._compensate, trip_id, compensation)

    def _look(self, trip_id: str, booking_id: str) -> Found:
        pages = (
            aws.dynamodb()
            .get_paginator("query")
            .paginate(
                TableName=os.environ[self.service.table_variable],
                ConsistentRead=True,
                KeyConditionExpression="pk = :trip",
                FilterExpression="sk = :booking OR transaction_status IN (:pending, :confirmed)",
                ProjectionExpression="sk, transaction_status",
                ExpressionAttributeValues=_values(
                    trip=trip_id, booking=booking_id, pending="pending", confirmed="confirmed"
                ),
            )
        )
        statuses = {row["sk"].get("S"): row["transaction_status"].get("S") for page in pages for row in page["Items"]}
        own = statuses.pop(booking_id, None)
        return Found(own, another_is_live=bool(statuses))

    def _reserve(self, trip_id: str, booking: Booking) -> None:
        status = self.service.reserved
        row = {"trip_id": trip_id, "id": booking.id, "transaction_status": status} | booking.attributes
        try:
            aws.dynamodb().put_item(
                TableName=os.environ[self.service.table_variable],
                Item=_key(trip_id, booking.id) | {name: {"S": value} for name, value in row.items()},
                ConditionExpression="attribute_not_exists(pk) OR transaction_status = :status",
                ExpressionAttributeValues=_values(status=status),
            )
        except aws.dynamodb().exceptions.ConditionalCheckFailedException:
            raise _gone(booking.id) from None

    def _confirm(self, trip_id: str, booking_id: str) -> None:
        try:
            aws.dynamodb().update_item(
                TableName=os.environ[self.service.table_variable],
                Key=_key(trip_id, booking_id),
                UpdateExpression="SET transaction_status = :confirmed",
                ConditionExpression="transaction_status IN (:pending, :confirmed)",
                ExpressionAttributeValues=_values(pending="pending", confirmed="confirmed"),
            )
        except aws.dynamodb().exceptions.ConditionalCheckFailedException:
            raise _gone(booking_id) from None

    def _compensate(self, trip_id: str, compensation: Compensation) -> None:
        try:
            aws.dynamodb().update_item(
                TableName=os.environ[self.service.table_variable],
                Key=_key(trip_id, compensation.id),
                UpdateExpression="SET transaction_status = :status, trip_id = :trip, id = :booking",
                ConditionExpression="attribute_not_exists(pk) OR transaction_status <> :spared",
                ExpressionAttributeValues=_values(
                    status=self.service.compensated,
                    trip=trip_id,
                    booking=compensation.id,
                    spared=compensation.spare,
                ),
            )
        except aws.dynamodb().exceptions.ConditionalCheckFailedException:
            return  # it is spared


def _key(trip_id: str, booking_id: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": trip_id}, "sk": {"S": booking_id}}


def _values(**values: str) -> "dict[str, AttributeValueTypeDef]":
    return {f":{name}": {"S": value} for name, value in values.items()}


def _gone(booking_id: str) -> BookingError:
    return BookingError("not reserved", f"booking {booking_id} is not reserved: it was cancelled, or never made")
