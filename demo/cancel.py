"""`make cancel`: cancels a running trip by its id, and prints its answer.

All unfinished runs of the id are cancelled: otherwise one that was waiting would book the trip after all.
"""

import time
from collections.abc import Callable

from demo.reservations import Run, runs_of, under_way
from demo.restate import Restate
from localcloud.environment import LocalCloudError

ANSWER_TIMEOUT = 15.0
SILENCE = 3.0


def cancel(restate: Restate, trip_id: str, say: Callable[[str], None]) -> None:
    """Cancel a trip and wait for its answer.

    Raises:
        LocalCloudError: the trip is not under way.
    """
    invocations = [run.id for run in under_way(restate, trip_id)]
    if not invocations:
        raise LocalCloudError(_why_not(trip_id, runs_of(restate, trip_id)))
    for invocation in invocations:
        restate.cancel(invocation)
    begin, silent = time.monotonic(), True
    while (waiting := under_way(restate, trip_id)) and time.monotonic() < begin + ANSWER_TIMEOUT:
        if silent and time.monotonic() > begin + SILENCE:
            say(f"Waiting up to {ANSWER_TIMEOUT:.0f} seconds for the answer.")
            silent = False
        time.sleep(0.1)
    answers = {run.id: run.answer for run in runs_of(restate, trip_id)}
    for invocation in invocations:
        if invocation in [run.id for run in waiting]:
            say(f"{invocation} is still under way: it is cancelled when its attempt ends or the next one begins.")
        else:
            say(f"{invocation} {answers.get(invocation, 'was cancelled before it began.')}")


def _why_not(trip_id: str, runs: list[Run]) -> str:
    if not runs:
        return f"Restate knows no trip {trip_id!r}: it keeps a trip for a day after its end."
    return f"Trip {trip_id!r} is not under way, so there is nothing to cancel. Its last answer was: {runs[-1].answer}"
