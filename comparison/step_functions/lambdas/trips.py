"""The front door: an HTTP request in, one execution of the state machine, its outcome out.

A STANDARD workflow has no answer to wait for, so it is polled until it has ended. Its name makes it idempotent: the
execution that an idempotency key names is started once. An EXPRESS workflow answers, and its name is free again.
"""

import hashlib
import json
import os
import time
import uuid
from functools import cache
from typing import Any, cast

import boto3
import msgspec
from botocore.config import Config
from msgspec import UNSET, Struct

from holiday.services import RUN_TYPES, TripRequest

POLL_SECONDS = 0.05


class ReserveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /trips/reserve`."""

    request: TripRequest = msgspec.field(default_factory=TripRequest)


def reserve(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    body = event.get("body") or ""
    try:
        trip = msgspec.json.decode(body, type=ReserveRequest).request
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        print(json.dumps({"message": "invalid", "reason": str(error)}))
        allowed = f"The one field of the body is `request`; its fields: {', '.join(TripRequest.__struct_fields__)}."
        why = f"Invalid JSON body: {error if body else 'it is empty'}. {allowed} Run types: {', '.join(RUN_TYPES)}."
        return _answer(400, why, reason="invalid")
    key = event["headers"].get("idempotency-key")
    execution = _run(_input(trip), hashlib.sha256(key.encode()).hexdigest() if key else str(uuid.uuid4()))
    trip_id, arn = json.loads(execution["input"])["trip_id"], execution["executionArn"]
    print(json.dumps({"message": execution["status"], "trip_id": trip_id}))
    if execution["status"] == "SUCCEEDED":
        return _respond(200, {"status": "success", "trip_id": trip_id}, arn)
    if execution.get("error") == "Duplicate":
        why = f"Trip {trip_id} is already booked or being booked."
        return _answer(409, why, arn, reason="duplicate", trip_id=trip_id)
    if execution["status"] != "FAILED":  # stopped or timed out: no Catch has run
        why = f"Trip {trip_id} ended as {execution['status']}: nothing was compensated."
        return _answer(500, why, arn, trip_id=trip_id)
    failure = json.loads(execution["cause"])
    return _answer(422, failure.pop("message"), arn, **failure, trip_id=trip_id)


def _input(trip: TripRequest) -> dict[str, Any]:
    """All that the steps are given, with every id made before the first of them runs."""
    trip_id = str(uuid.uuid4()) if trip.trip_id is UNSET else trip.trip_id
    run_type = "" if trip.run_type is UNSET else trip.run_type
    bookings = {
        booking: {"trip_id": trip_id, "run_type": run_type, "id": str(uuid.uuid4())}
        | {name: getattr(trip, name) for name in attributes}
        for booking, attributes in (
            ("flight", ("depart_city", "depart_time", "arrive_city", "arrive_time")),
            ("car", ("rental", "rental_from", "rental_to")),
            ("payment", ("amount", "currency")),
        )
    }
    notice = {"trip_id": trip_id} | {f"{name}_id": booking["id"] for name, booking in bookings.items()}
    return {"trip_id": trip_id, "run_type": run_type, "notice": notice, **bookings}


def _run(trip: dict[str, Any], name: str) -> dict[str, Any]:
    machine, states = os.environ["STATE_MACHINE_ARN"], _states()
    if os.environ["TYPE"] == "EXPRESS":
        return states.start_sync_execution(stateMachineArn=machine, name=name, input=json.dumps(trip))
    try:
        execution = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(trip))["executionArn"]
    except states.exceptions.ExecutionAlreadyExists:
        execution = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    while (outcome := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(POLL_SECONDS)
    return outcome


@cache
def _states() -> Any:
    # An emulator has one address for everything, so none for the host that synchronous executions have on AWS.
    config = Config(inject_host_prefix="AWS_ENDPOINT_URL" not in os.environ)
    return cast(Any, boto3).client("stepfunctions", config=config)


def _answer(status: int, message: str, execution: str = "", **metadata: str) -> dict[str, Any]:
    return _respond(status, {"code": status, "message": message, "metadata": metadata}, execution)


def _respond(status: int, body: dict[str, Any], execution: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "x-execution-arn": execution}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
