"""The saga's three retry policies, and how long Restate keeps what has ended.

Forward steps give up. Restate kills such a step, which counts as failed, so the saga is rolled back and the caller gets
an answer. Compensations, notices and the saga itself must succeed however long it takes: they never give up and never
pause (a paused invocation holds its trip's key until somebody resumes it). A caller waits for the saga, so it is
retried within ten seconds. Nobody waits for a compensation or a notice, and an outage leaves some for every trip: their
intervals grow to a minute. They begin at two seconds, because Restate's VQueues free the slot of an invocation that
waits at least that long for its retry, so that other trips do not wait for the slot.
"""

from datetime import timedelta

from restate import InvocationRetryPolicy

_ENDLESS = 2_000_000_000

GIVE_UP_AFTER_8_ATTEMPTS = InvocationRetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    exponentiation_factor=2,
    max_interval=timedelta(seconds=10),
    max_attempts=8,
    on_max_attempts="kill",
)
NEVER_GIVE_UP = InvocationRetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    exponentiation_factor=2,
    max_interval=timedelta(seconds=10),
    max_attempts=_ENDLESS,
)
RETRY_UP_TO_A_MINUTE = InvocationRetryPolicy(
    initial_interval=timedelta(seconds=2),
    exponentiation_factor=2,
    max_interval=timedelta(minutes=1),
    max_attempts=_ENDLESS,
)

KEEP_FOR = timedelta(days=1)
"""How long an ended invocation's journal, outcome and idempotency key are kept. Why a trip failed can be read from its
rows, its notice and its log lines after that."""
