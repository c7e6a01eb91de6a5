"""A function for each step and each compensation of the workflow: `steps.flights_reserve` serves flights.reserve.

A booking is one row. Every write says what it expects, may be repeated, and cannot bring back what was compensated.
Flights are reserved first and cancelled last, so this is where a trip id is reserved: by a row in the gate's table.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from holiday.aws import dynamodb

Booking = dict[str, str]


class SimulatedError(Exception):
    """The caller asked for this failure."""


class NotReservedError(Exception):
    """The booking was compensated, or never made."""


class DuplicateError(Exception):
    """Another reservation has this trip id."""


def _reserve_trip_id_and_flight(flight: Booking) -> None:
    """Write the flight, and its trip id into the gate's table: both or neither."""
    item: Any = {"pk": {"S": flight["trip_id"]}}
    table, booking = os.environ["GATE_TABLE_NAME"], {"S": flight["id"]}
    if flight["run_type"] == "failFlightsReservation":
        found = dynamodb().get_item(TableName=table, Key=item, ConsistentRead=True)
        if found.get("Item", {}).get("reserved_by", booking) != booking:
            raise DuplicateError(flight["trip_id"])
        raise SimulatedError("simulated, as asked for by run_type failFlightsReservation")
    gate: Any = {
        "TableName": table,
        "Item": item | {"reserved_by": booking},
        "ConditionExpression": "attribute_not_exists(pk) OR reserved_by = :id",
        "ExpressionAttributeValues": {":id": booking},
    }
    try:
        dynamodb().transact_write_items(TransactItems=[{"Put": gate}, {"Put": _put(flight, "pending")}])
    except dynamodb().exceptions.TransactionCanceledException as error:
        reasons: Any = error.response.get("CancellationReasons")
        duplicate, compensated = (reason["Code"] == "ConditionalCheckFailed" for reason in reasons)
        if duplicate:
            raise DuplicateError(flight["trip_id"]) from None
        if compensated:
            raise _not_reserved(flight) from None
        raise  # two transactions met: the state machine tries again


def _reserve(booking: Booking, status: str) -> None:
    try:
        dynamodb().put_item(**_put(booking, status))
    except dynamodb().exceptions.ConditionalCheckFailedException:
        raise _not_reserved(booking) from None


def _confirm(booking: Booking) -> None:
    """Make a pending booking confirmed. Never creates a row."""
    try:
        dynamodb().update_item(
            **_row(booking),
            UpdateExpression="SET transaction_status = :confirmed",
            ConditionExpression="transaction_status IN (:pending, :confirmed)",
            ExpressionAttributeValues={":pending": {"S": "pending"}, ":confirmed": {"S": "confirmed"}},
        )
    except dynamodb().exceptions.ConditionalCheckFailedException:
        raise _not_reserved(booking) from None


def _compensate(booking: Booking, status: str) -> None:
    """Give the booking its last status, whatever was there before: a tombstone if nothing was."""
    values = {":status": status, ":trip": booking["trip_id"], ":booking": booking["id"]}
    dynamodb().update_item(
        **_row(booking),
        UpdateExpression="SET transaction_status = :status, trip_id = :trip, id = :booking",
        ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
    )


def _cancel_and_release(flight: Booking) -> None:
    """Cancel the flight, then release the trip id if this flight holds it: a late reservation finds its tombstone."""
    _compensate(flight, "cancelled")
    try:
        dynamodb().delete_item(
            TableName=os.environ["GATE_TABLE_NAME"],
            Key={"pk": {"S": flight["trip_id"]}},
            ConditionExpression="reserved_by = :id",
            ExpressionAttributeValues={":id": {"S": flight["id"]}},
        )
    except dynamodb().exceptions.ConditionalCheckFailedException:
        pass


def _put(booking: Booking, status: str) -> Any:
    row, values = _row(booking), {**booking, "transaction_status": status}
    return {
        "TableName": row["TableName"],
        "Item": row["Key"] | {name: {"S": value} for name, value in values.items() if name != "run_type"},
        "ConditionExpression": "attribute_not_exists(pk) OR transaction_status = :status",
        "ExpressionAttributeValues": {":status": {"S": status}},
    }


def _row(booking: Booking) -> Any:
    return {"TableName": os.environ["TABLE_NAME"], "Key": {"pk": {"S": booking["trip_id"]}, "sk": {"S": booking["id"]}}}


def _not_reserved(booking: Booking) -> NotReservedError:
    return NotReservedError(f"booking {booking['id']} is not reserved: it was cancelled, or never made")


def _handler(step: str, write: Callable[..., None], *status: str, run_type: str = "") -> Callable[..., None]:
    """The handler of this step, which logs one line. run_type: the one that makes it fail."""

    def handle(booking: Booking, _context: Any) -> None:
        print(json.dumps({"message": step, "trip_id": booking["trip_id"]}))
        if run_type and booking["run_type"] == run_type:
            raise SimulatedError(f"simulated, as asked for by run_type {run_type}")
        write(booking, *status)

    return handle


flights_reserve = _handler("flights.reserve", _reserve_trip_id_and_flight)
flights_confirm = _handler("flights.confirm", _confirm, run_type="failFlightsConfirmation")
flights_cancel = _handler("flights.cancel", _cancel_and_release)
cars_reserve = _handler("cars.reserve", _reserve, "pending", run_type="failCarRentalReservation")
cars_confirm = _handler("cars.confirm", _confirm, run_type="failCarRentalConfirmation")
cars_cancel = _handler("cars.cancel", _compensate, "cancelled")
payments_process = _handler("payments.process", _reserve, "confirmed", run_type="failPayment")
payments_refund = _handler("payments.refund", _compensate, "refunded")
