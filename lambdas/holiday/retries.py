"""The saga's two retry policies: forward steps give up, everything that keeps a promise does not.

A step that was given up is killed by Restate and counts as failed, so the saga undoes it and the caller gets an
answer. An undo, a notice and the saga itself must end well however long that takes: they never give up, and never
pause (a paused invocation would hold its trip's key until somebody resumes it).
"""

from datetime import timedelta

from restate import InvocationRetryPolicy

_FIRST, _LONGEST = timedelta(milliseconds=500), timedelta(seconds=10)

GIVE_UP_AFTER_8_ATTEMPTS = InvocationRetryPolicy(
    initial_interval=_FIRST, exponentiation_factor=2, max_interval=_LONGEST, max_attempts=8, on_max_attempts="kill"
)
NEVER_GIVE_UP = InvocationRetryPolicy(
    initial_interval=_FIRST, exponentiation_factor=2, max_interval=_LONGEST, max_attempts=2_000_000_000
)
