"""Long outages in real time: forward steps are given up eventually, compensations and notices never are."""

import asyncio
import time

import pytest

from tests.driver import eventually, lambda_invocations
from tests.expectations import more_invocations
from tests.faults.harness import Harness
from tests.faults.plans import STEPS, Plan, Trip
from tests.faults.proxy import refusing


@pytest.mark.slow
@pytest.mark.parametrize(
    "trip",
    [
        pytest.param(
            Trip(run_type="failNotification", faults={"cars.cancel 1": "outage 30"}), id="DynamoDB, in a compensation"
        ),
        pytest.param(Trip(faults={"cars.reserve 1": "outage 30"}), id="DynamoDB, in a step"),
    ],
)
def test_half_a_minute_without_dynamodb_leaves_no_trip_half_booked(
    runner: asyncio.Runner, in_one_process: Harness, trip: Trip
) -> None:
    assert runner.run(in_one_process.run(Plan([trip, Trip()]))) == []


@pytest.mark.slow
def test_a_minute_without_sns_neither_delays_the_answer_nor_loses_the_notice(
    runner: asyncio.Runner, in_one_process: Harness
) -> None:
    async def book() -> None:
        # given an SNS outage of a minute, when trips are booked, then they are answered during it
        trips = {f"quiet-{n}": trip for n, trip in enumerate((Trip(), Trip(run_type="failPayment")))}
        in_one_process.play(
            {name: Trip(trip.run_type, faults={"trips.notify 1": "outage 60"}) for name, trip in trips.items()}
        )
        made = [
            *await in_one_process.book("quiet-0", trips["quiet-0"]),
            *await in_one_process.book("quiet-1", trips["quiet-1"]),
        ]
        assert [reservation.status for reservation in made] == [200, 422]
        assert in_one_process.notices("quiet-") == []
        assert await in_one_process.unfinished()

        # and the notices arrive afterwards
        assert await in_one_process.check("quiet-", trips, made) == []

    runner.run(book())


async def book_without_payments(harness: Harness, trip_id: str, fault: str) -> tuple[float, float]:
    """Book while every call of payments fails, then end the fault. Returns the seconds to refuse and to recover."""
    trips = {trip_id: Trip(again=True, faults={"payments.process": fault})}
    harness.proxy.decide = refusing("payments", fault)

    # the step is given up: the caller is told, and the others are cancelled while the refund is retried
    begin = time.monotonic()
    first = await harness.reserve(trip_id)
    refused_after = time.monotonic() - begin
    assert (first.status, "payments.process failed (it kept failing and was given up)" in first.answer) == (422, True)
    await harness.until(f"target LIKE '%/{trip_id}/%'", {f"payments/{trip_id}/refund"})
    statuses = await asyncio.to_thread(
        eventually,
        lambda: [row["transaction_status"] for row in harness.rows(trip_id)["flights"]],
        lambda found: found == ["cancelled"],
    )
    assert statuses == ["cancelled"]

    # a new booking of that trip id waits for the refund
    again = asyncio.create_task(harness.reserve(trip_id))
    waiting = {f"payments/{trip_id}/refund", f"payments/{trip_id}/process"}
    await harness.until(f"target LIKE 'payments/{trip_id}/%'", waiting)
    assert not again.done()

    # and after the recovery, both end without intervention
    begin = time.monotonic()
    harness.proxy.decide = lambda _: None
    second = await again
    assert second.status == 200
    assert await harness.check(trip_id, trips, [first, second]) == []
    return refused_after, time.monotonic() - begin


@pytest.mark.slow
def test_a_step_that_gets_no_answer_is_given_up_and_compensated_after_the_recovery(
    runner: asyncio.Runner, in_one_process: Harness
) -> None:
    refused, recovered = runner.run(book_without_payments(in_one_process, "black-hole", "hanging"))
    print(f"black hole: refused after {refused:.0f} s, settled {recovered:.0f} s after the recovery")
    assert refused < 75


@pytest.mark.slow
def test_a_hanging_lambda_is_given_up_and_compensated_after_the_recovery(
    runner: asyncio.Runner, on_lambda: Harness
) -> None:
    refused, recovered = runner.run(book_without_payments(on_lambda, "hanging-lambda", "frozen"))
    print(f"hanging Lambda: refused after {refused:.0f} s, settled {recovered:.0f} s after the recovery")
    assert refused < 150


def test_a_throttled_lambda_is_retried(runner: asyncio.Runner, on_lambda: Harness) -> None:
    async def book() -> list[str]:
        on_lambda.proxy.throttled = b"CarsService"
        booking = asyncio.create_task(on_lambda.run(Plan([Trip(), Trip(run_type="failPayment"), Trip(callers=3)])))
        await on_lambda.until("target LIKE 'cars/%' AND failures > 1")
        on_lambda.proxy.throttled = b""
        return await booking

    assert runner.run(book()) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_cancellation_during_a_step_takes_few_lambda_invocations(
    runner: asyncio.Runner, on_lambda: Harness, step: str
) -> None:
    before = lambda_invocations(on_lambda.cloud)

    assert runner.run(on_lambda.run(Plan([Trip(faults={f"{step} 1": "cancel during"})]))) == []

    assert 0 < lambda_invocations(on_lambda.cloud) - before <= 20 + more_invocations()
