"""The saga's three retry policies, and for how long Restate keeps what has ended.

Forward steps give up, everything that keeps a promise does not. A step that was given up is killed by Restate and
counts as failed, so the saga is rolled back and the caller gets an answer. A compensation, a notice and the saga itself
must end well however long that takes: they never give up, and never pause (a paused invocation would hold its trip's
key until somebody resumes it). A caller waits for the saga, so at most ten seconds pass before it is tried again.
Nobody waits for a compensation or a notice, and in an outage every trip leaves some: their intervals grow to a minute,
and begin at two seconds, because Restate's VQueues take from those that wait at least that long their place among the
running, and so other trips do not wait for it.
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
"""After its end, an invocation's journal, its outcome and its idempotency key. Whoever asks later why a trip failed
finds its rows, its notice and its log lines."""
