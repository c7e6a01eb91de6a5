"""The saga's three retry policies: forward steps give up, everything that keeps a promise does not.

A step that was given up is killed by Restate and counts as failed, so the saga is rolled back and the caller gets an
answer. A compensation, a notice and the saga itself must end well however long that takes: they never give up, and
never pause (a paused invocation would hold its trip's key until somebody resumes it). A caller waits for the saga, so
it is retried every ten seconds at least. Nobody waits for a compensation or a notice: their interval grows to a minute,
because in an outage every trip that fails leaves some.
"""

from datetime import timedelta

from restate import InvocationRetryPolicy

_FIRST, _TEN_SECONDS, _ENDLESS = timedelta(milliseconds=500), timedelta(seconds=10), 2_000_000_000

GIVE_UP_AFTER_8_ATTEMPTS = InvocationRetryPolicy(
    initial_interval=_FIRST, exponentiation_factor=2, max_interval=_TEN_SECONDS, max_attempts=8, on_max_attempts="kill"
)
NEVER_GIVE_UP = InvocationRetryPolicy(
    initial_interval=_FIRST, exponentiation_factor=2, max_interval=_TEN_SECONDS, max_attempts=_ENDLESS
)
RETRY_UP_TO_A_MINUTE = InvocationRetryPolicy(
    initial_interval=_FIRST, exponentiation_factor=2, max_interval=timedelta(minutes=1), max_attempts=_ENDLESS
)
