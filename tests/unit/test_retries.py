"""The retry policies, and the figures in the documentation that follow from them."""

import pytest
from restate import InvocationRetryPolicy

from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, NEVER_GIVE_UP, RETRY_UP_TO_A_MINUTE
from localcloud.environment import ROOT

HOUR = 3600


def attempts_within(policy: InvocationRetryPolicy, seconds: float, jitter: float = 1) -> int:
    """The number of attempts in this time if each fails at once. Restate adds random jitter to the intervals."""
    assert policy.initial_interval and policy.max_interval and policy.exponentiation_factor
    interval, longest = policy.initial_interval.total_seconds(), policy.max_interval.total_seconds()
    at, attempts = 0.0, 0
    while at <= seconds and attempts < (policy.max_attempts or 0):
        attempts += 1
        at += interval * jitter
        interval = min(interval * policy.exponentiation_factor, longest)
    return attempts


@pytest.mark.parametrize("policy", [NEVER_GIVE_UP, RETRY_UP_TO_A_MINUTE])
def test_the_policies_that_never_give_up_retry_forever(policy: InvocationRetryPolicy) -> None:
    assert attempts_within(policy, 30 * 24 * HOUR) > 10_000
    assert (policy.max_attempts or 0) > 1_000_000_000


def test_a_forward_step_is_given_up_after_8_attempts() -> None:
    assert attempts_within(GIVE_UP_AFTER_8_ATTEMPTS, HOUR) == 8
    assert GIVE_UP_AFTER_8_ATTEMPTS.on_max_attempts == "kill"


def test_a_handler_without_a_caller_keeps_no_slot_between_attempts() -> None:
    # Restate's threshold: with an interval below two seconds, an invocation that backs off keeps its slot
    assert RETRY_UP_TO_A_MINUTE.initial_interval
    assert RETRY_UP_TO_A_MINUTE.initial_interval.total_seconds() >= 2


def test_the_documentation_gives_the_invocations_of_an_hour_s_outage() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert f"{1000 * attempts_within(RETRY_UP_TO_A_MINUTE, HOUR):,} invocations" in page
    assert f"{1000 * attempts_within(NEVER_GIVE_UP, HOUR):,}" in page
