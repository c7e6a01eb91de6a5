"""What the tests of the handler share: a fake of Restate, and a deadline for which nobody waits."""

from collections.abc import Iterator

import pytest

from events import V1, V2, V3, Clock
from fake_admin import FakeAdmin, served
from registration.deadline import Deadline


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deadline(clock: Clock) -> Deadline:
    """Five minutes."""
    return Deadline(300, lambda: clock.now, clock.sleep)


@pytest.fixture
def restate() -> Iterator[FakeAdmin]:
    """Restate, which knows nothing yet; three versions of a function that each offer trips.reserve."""
    with served(FakeAdmin(offers={version: {"trips": ["reserve"]} for version in (V1, V2, V3)})) as fake:
        yield fake
