"""Flight and car are confirmed in parallel: if that fails, what is reported, and that everything is compensated."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.driver import lambda_invocations
from tests.expectations import COMPENSATIONS, LATER_STEPS, more_invocations
from tests.faults.harness import Harness, Scene
from tests.faults.plans import Plan, Trip

ALL = ", ".join(LATER_STEPS)


def failure(answer: str) -> dict[str, str]:
    metadata: dict[str, str] = json.loads(answer)["metadata"]
    assert f"{metadata['step']} failed ({metadata['cause']})" in json.loads(answer)["message"]
    assert metadata["compensations"] == ", ".join(COMPENSATIONS)
    return metadata


@pytest.mark.parametrize(
    ("run_type", "other", "step"),
    [
        ("failFlightsConfirmation", "cars.confirm", "flights.confirm"),
        ("failCarRentalConfirmation", "flights.confirm", "cars.confirm"),
    ],
)
def test_a_failed_confirmation_is_reported_after_the_other_has_ended(
    play: Callable[[Scene], None], run_type: str, other: str, step: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        trip = Trip(run_type, faults={f"{other} 1": "slow"})
        harness.play({trip_id: trip})
        made = await harness.reserve(trip_id, run_type)

        found = failure(made.answer)
        assert (found["step"], found["reason"]) == (step, "simulated")
        assert await harness.check(trip_id, {trip_id: trip}, [made]) == []

    play(scene)


@pytest.mark.parametrize(
    ("run_type", "killed", "reason"),
    [("failFlightsConfirmation", "cars", "simulated"), ("failCarRentalConfirmation", "flights", "given up")],
)
def test_of_two_failed_confirmations_the_first_in_the_code_is_reported(
    play: Callable[[Scene], None], run_type: str, killed: str, reason: str
) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        # given a trip with one confirmation that fails, and another that is killed, which counts as given up
        trip = Trip(run_type, faults={f"{killed}.confirm {attempt}": "reset" for attempt in range(1, 9)})
        harness.play({trip_id: trip})
        invocation = await harness.send(trip_id, run_type)
        [confirming] = await harness.until(f"target = '{killed}/{trip_id}/confirm'")
        await harness.operate("kill", confirming["id"])
        made = await harness.answer(trip_id, invocation)

        found = failure(made.answer)
        assert (found["step"], found["reason"]) == ("flights.confirm", reason)
        assert await harness.check(trip_id, {trip_id: trip}, [made]) == []

    play(scene)


@pytest.mark.parametrize("slow", ["flights", "cars"])
def test_a_trip_that_is_cancelled_between_confirmations_names_both(play: Callable[[Scene], None], slow: str) -> None:
    async def scene(harness: Harness, trip_id: str) -> None:
        trip = Trip(cancelled=True, faults={f"{slow}.confirm 1": "slow"})
        harness.play({trip_id: trip})
        invocation = await harness.send(trip_id)
        done = {"flights": "cars", "cars": "flights"}[slow]
        await harness.until_done(f"{done}/{trip_id}/confirm")
        await harness.operate("cancel", invocation)
        made = await harness.answer(trip_id, invocation)

        found = failure(made.answer)
        assert (found["step"], found["reason"]) == (ALL, "cancelled")
        assert await harness.check(trip_id, {trip_id: trip}, [made]) == []

    play(scene)


@pytest.mark.parametrize(
    "trip",
    [
        pytest.param(Trip("failFlightsConfirmation", faults={"cars.confirm 1": "slow"}), id="one fails"),
        pytest.param(
            Trip(faults={"flights.confirm 1": "cancel twice", "cars.confirm 1": "slow"}), id="cancelled twice"
        ),
    ],
)
def test_a_failure_while_both_run_takes_few_lambda_invocations(
    runner: asyncio.Runner, on_lambda: Harness, trip: Trip
) -> None:
    before = lambda_invocations(on_lambda.cloud)

    assert runner.run(on_lambda.run(Plan([trip]))) == []

    assert 0 < lambda_invocations(on_lambda.cloud) - before <= 16 + more_invocations()
