"""A deadline, and retries until then with pauses that grow up to a limit.

The clock and the sleep are arguments, so that a test of a five-minute wait takes no time.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from registration.admin import UnavailableError

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
PROPAGATION_SECONDS = 120  # what a new role, or a new permission of it, may take to be known in all of AWS


class Deadline:
    """`seconds` from now. `clock` and `sleep` default to the real ones."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = max(seconds, 0.0)
        self._clock, self._sleep = clock, sleep
        self._until = clock() + self.seconds

    def left(self) -> float:
        return max(self._until - self._clock(), 0.0)

    def within(self, seconds: float) -> "Deadline":
        """This deadline, or `seconds` from now if that is earlier."""
        return Deadline(min(seconds, self.left()), self._clock, self._sleep)

    def pause(self) -> None:
        """Sleep for the first pause, or for the time that is left."""
        self._sleep(min(FIRST_PAUSE, self.left()))

    def tries(self) -> Iterator[None]:
        """Yield at once, and then again after each pause, until time is up."""
        pause = FIRST_PAUSE
        while True:
            yield
            if self.left() <= pause:
                return
            self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def retry(deadline: Deadline, ask: Callable[[], Answer]) -> Answer:
    """Retry until there is an answer. When time is up, raises the last error with what was waited for."""
    reason = ""
    for _ in deadline.tries():
        try:
            return ask()
        except UnavailableError as error:
            if str(error) != reason:
                reason = str(error)
                log.warning("retrying: %s", reason)
    raise UnavailableError(f"Timed out after {deadline.seconds:.0f} seconds: {reason}")
