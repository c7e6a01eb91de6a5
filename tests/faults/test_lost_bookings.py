"""A booking is gone when its trip needs it again: the trip is rolled back, and not reported as a duplicate."""

import asyncio
import json
import uuid
from collections.abc import Callable

import pytest

from holiday.services import SERVICES
from tests.expectations import LATER_STEPS, STEPS
from tests.faults.calls import AwsCall
from tests.faults.harness import Harness
from tests.faults.plans import Trip

MAY_FAIL = Trip(cancelled=True)
"""Tells the harness that the trip may fail."""


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_trip_whose_booking_was_cancelled_meanwhile_is_rolled_back_as_not_reserved(
    runner: asyncio.Runner, in_one_process: Harness, step: str
) -> None:
    def cancelled(table: str, call: AwsCall) -> None:
        in_one_process.cloud.client("dynamodb").update_item(
            TableName=table,
            Key={"pk": {"S": call.trip_id}, "sk": {"S": call.booking}},
            UpdateExpression="SET transaction_status = :status, trip_id = :trip, id = :booking",
            ExpressionAttributeValues={
                ":status": {"S": SERVICES[step.partition(".")[0]].compensated},
                ":trip": {"S": call.trip_id},
                ":booking": {"S": call.booking},
            },
        )

    assert runner.run(rolled_back(in_one_process, step, cancelled)) == []


@pytest.mark.parametrize("step", LATER_STEPS)
def test_a_trip_whose_booking_was_deleted_is_rolled_back_as_not_reserved(
    runner: asyncio.Runner, in_one_process: Harness, step: str
) -> None:
    def deleted(table: str, call: AwsCall) -> None:
        key = {"pk": {"S": call.trip_id}, "sk": {"S": call.booking}}
        in_one_process.cloud.client("dynamodb").delete_item(TableName=table, Key=key)

    assert runner.run(rolled_back(in_one_process, step, deleted)) == []


async def rolled_back(harness: Harness, step: str, change: Callable[[str, AwsCall], None]) -> list[str]:
    """Book a trip and change its step's row just before the step's first write. Returns the violations."""
    trip_id = f"lost-{uuid.uuid4()}"

    def decide(call: AwsCall) -> None:
        if (call.trip_id, call.name, call.attempt) == (trip_id, step, 1):
            change(harness.names[f"{step.partition('.')[0].capitalize()}TableName"], call)

    harness.proxy.decide = decide
    made = await harness.reserve(trip_id)
    answer = json.loads(made.answer)
    assert (made.status, answer["metadata"]["step"], answer["metadata"]["reason"]) == (422, step, "not reserved")
    return await harness.check(trip_id, {trip_id: MAY_FAIL}, [made])
