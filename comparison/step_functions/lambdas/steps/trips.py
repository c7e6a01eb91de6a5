"""The front door: an HTTP request in, one execution of the state machine, its outcome out.

A STANDARD workflow has no answer to wait for, so it is asked until it has ended. Its name makes it idempotent: the
execution that an idempotency key names is started once. An EXPRESS workflow answers, and forgets its name.
"""

import hashlib
import json
import os
import time
import uuid
from functools import cache
from typing import Any, cast

import boto3
from botocore.config import Config
from msgspec import UNSET

from steps.models import BadRequestError, TripRequest, parse

POLL_SECONDS = 0.05


def reserve(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    try:
        trip = parse(event.get("body") or "")
    except BadRequestError as error:
        print(json.dumps({"message": "REFUSED", "reason": "invalid"}))
        return _answer(400, {"code": 400, "message": str(error), "metadata": {"reason": "invalid"}})
    key = event["headers"].get("idempotency-key")
    execution = _run(_input(trip), hashlib.sha256(key.encode()).hexdigest() if key else str(uuid.uuid4()))
    trip_id = json.loads(execution["input"])["trip_id"]
    print(json.dumps({"message": execution["status"], "trip_id": trip_id}))
    if execution["status"] == "SUCCEEDED":
        return _answer(200, {"status": "success", "trip_id": trip_id}, execution)
    if execution.get("error") == "Duplicate":
        why = f"Trip {trip_id} is already booked or being booked."
        return _answer(
            409, {"code": 409, "message": why, "metadata": {"reason": "duplicate", "trip_id": trip_id}}, execution
        )
    if execution["status"] != "FAILED":  # stopped or timed out: no Catch has run
        why = f"Trip {trip_id} ended as {execution['status']}: nothing was undone."
        return _answer(500, {"code": 500, "message": why, "metadata": {"trip_id": trip_id}}, execution)
    failure = json.loads(execution["cause"])
    message = failure.pop("message")
    return _answer(422, {"code": 422, "message": message, "metadata": failure | {"trip_id": trip_id}}, execution)


def _input(trip: TripRequest) -> dict[str, Any]:
    """All that the steps are given, with every id made before the first of them runs. The price is not the caller's."""
    trip_id = str(uuid.uuid4()) if trip.trip_id is UNSET else trip.trip_id
    run_type = "" if trip.run_type is UNSET else trip.run_type
    flight, car, payment = (
        {"trip_id": trip_id, "run_type": run_type, "id": str(uuid.uuid4())} | attributes
        for attributes in (
            {name: getattr(trip, name) for name in ("depart_city", "depart_time", "arrive_city", "arrive_time")},
            {name: getattr(trip, name) for name in ("rental", "rental_from", "rental_to")},
            {"amount": "750.00", "currency": "USD"},
        )
    )
    notice = {"trip_id": trip_id, "flight_id": flight["id"], "car_id": car["id"], "payment_id": payment["id"]}
    return {
        "trip_id": trip_id,
        "run_type": run_type,
        "flight": flight,
        "car": car,
        "payment": payment,
        "notice": notice,
    }


def _run(trip: dict[str, Any], name: str) -> dict[str, Any]:
    machine = os.environ["STATE_MACHINE_ARN"]
    if os.environ["TYPE"] == "EXPRESS":
        return _states().start_sync_execution(stateMachineArn=machine, name=name, input=json.dumps(trip))
    try:
        execution = _states().start_execution(stateMachineArn=machine, name=name, input=json.dumps(trip))[
            "executionArn"
        ]
    except _states().exceptions.ExecutionAlreadyExists:
        execution = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    while (outcome := _states().describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(POLL_SECONDS)
    return outcome


@cache
def _states() -> Any:
    # An emulator has one address for everything, so none for the host that synchronous executions have on AWS.
    config = Config(inject_host_prefix="AWS_ENDPOINT_URL" not in os.environ)
    return cast(Any, boto3).client("stepfunctions", config=config)


def _answer(status: int, body: dict[str, Any], execution: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if execution:
        headers["x-execution-arn"] = execution["executionArn"]
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
