"""What the registration's tests share: a stand-in for Restate, and patience whose waiting takes no time."""

from collections.abc import Callable, Iterator

import pytest

from registration.patience import Patience
from tests.unit.admin_stand_in import AdminStandIn, served

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:trips"
V1, V2, V3 = (f"{FUNCTION}:{number}" for number in (1, 2, 3))
ROLE = "arn:aws:iam::111122223333:role/invoker"


class Clock:
    """Stands still, except while somebody sleeps. `events` are called once each, at their time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.events: dict[float, Callable[[], None]] = {}

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        for due in sorted(time for time in self.events if time <= self.now):
            self.events.pop(due)()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    """Five minutes."""
    return Patience(300, lambda: clock.now, clock.sleep)


@pytest.fixture
def restate() -> Iterator[AdminStandIn]:
    """Restate, which knows nothing yet; three versions of a function that each offer trips.reserve."""
    with served(AdminStandIn(offers={version: {"trips": ["reserve"]} for version in (V1, V2, V3)})) as stand_in:
        yield stand_in
