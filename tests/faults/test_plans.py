"""The invariant holds under network and AWS faults, cancellations, crashes and concurrent callers, alone and mixed.

A plan that violates it is printed with the command that runs it again.
"""

import asyncio

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import FAULTS_SEED
from tests.faults.harness import Harness
from tests.faults.plans import (
    ATTEMPTS,
    CALLS,
    CANCELS,
    CRASHES,
    HARMLESS,
    STEPS,
    Plan,
    Trip,
    at_every_call,
    draw,
    for_good,
)

trips = st.builds(draw, st.randoms(use_true_random=False))
plans = st.lists(st.none() | trips | trips | trips, min_size=60, max_size=60).map(
    lambda drawn: Plan([trip for trip in drawn if trip])
)
mixed = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def hold(runner: asyncio.Runner, harness: Harness, plan: Plan, options: str = "") -> None:
    """Run the plan. Raises AssertionError with the violations and the command that runs it again."""
    if found := runner.run(harness.run(plan)):
        again = f"PYTHONPATH=lambdas .venv/bin/python -m tests.faults.chaos {options}--plan '{plan.to_json()}'"
        raise AssertionError("\n".join([*found, f"Run it again: {again}"]))


@hypothesis.seed(FAULTS_SEED)
@settings(mixed, max_examples=5)
@given(plan=plans)
def test_mixed_faults(runner: asyncio.Runner, in_one_process: Harness, plan: Plan) -> None:
    hold(runner, in_one_process, plan)


@pytest.mark.slow
@hypothesis.seed(FAULTS_SEED)
@settings(mixed, max_examples=2)
@given(plan=plans)
def test_mixed_faults_on_lambda(runner: asyncio.Runner, on_lambda: Harness, plan: Plan) -> None:
    hold(runner, on_lambda, plan, "--on-lambda ")


def test_every_harmless_fault_at_every_call_is_survived(runner: asyncio.Runner, in_one_process: Harness) -> None:
    hold(runner, in_one_process, at_every_call(*HARMLESS))


def test_a_cancellation_before_during_and_after_every_call_and_twice(
    runner: asyncio.Runner, in_one_process_either_way: Harness
) -> None:
    hold(runner, in_one_process_either_way, at_every_call(*CANCELS))


@pytest.mark.slow  # a cancellation of each step on Lambda, counted, is in test_outages
def test_a_cancellation_at_every_call_on_lambda(runner: asyncio.Runner, on_lambda_either_way: Harness) -> None:
    hold(runner, on_lambda_either_way, at_every_call(*CANCELS), "--on-lambda ")


@pytest.mark.parametrize("call", CALLS)
def test_a_crash_before_and_after_every_call(runner: asyncio.Runner, in_one_process: Harness, call: str) -> None:
    hold(runner, in_one_process, Plan([trip for trip in at_every_call(*CRASHES).trips if f"{call} 1" in trip.faults]))


@pytest.mark.slow
def test_a_crashed_lambda_before_and_after_every_call(runner: asyncio.Runner, on_lambda: Harness) -> None:
    hold(runner, on_lambda, at_every_call(*CRASHES), "--on-lambda ")


def test_steps_that_fail_for_good_are_compensated_and_late_writes_bring_nothing_back(
    runner: asyncio.Runner, in_one_process: Harness
) -> None:
    # given steps of which every attempt fails or is delayed
    before = in_one_process.proxy.fired["late"]
    plan = for_good("reset", *STEPS).trips + for_good("late", *STEPS).trips

    # and keys that are reused while the gate's table is unreachable, after a booked and after a rolled-back trip
    gone = {f"flights.look {attempt}": "reset" for attempt in range(2, ATTEMPTS + 2)}
    plan += [Trip(reused=2, faults=gone), Trip("failPayment", reused=2, faults=gone)]

    # when they are booked, then only the trip that was booked before is left
    hold(runner, in_one_process, Plan(plan))
    assert in_one_process.proxy.fired["late"] - before == 8 * len(STEPS)
