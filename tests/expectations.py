"""What tests expect of each service, derived from its row in services.py and never from what trips does.

So a test fails if trips lacks a step or a compensation. What the original run types leave behind is written by hand
in demo/contract.py, and tests/unit/test_services.py compares the two.
"""

from collections.abc import Mapping

import pytest

from demo.contract import KINDS, NEVER, NOTHING
from demo.readme import FIRST_STEPS, left
from holiday.services import SERVICES, Service

TABLES = {name: name.capitalize() for name in SERVICES}
"""Each service's table as named in the stack, which is also the prefix of its output."""

of_the_original_three = pytest.mark.skipif(
    len(SERVICES) > len(KINDS),
    reason="docs/add-a-service.md is a patch of the original three services, and there are more now.",
)

LATER_STEPS = tuple(f"{name}.{step}" for name, row in SERVICES.items() for step in list(row.steps)[1:])
STEPS = FIRST_STEPS + LATER_STEPS
COMPENSATIONS = tuple(f"{name}.{row.compensation}" for name, row in reversed(SERVICES.items()))
"""In the order in which trips sends them."""


def more_invocations() -> int:
    """How many more Lambda invocations a trip may take than one with only a flight, a car and a payment.

    Each additional service takes two of its own, and one more of trips after its first step.
    """
    return 3 * (len(SERVICES) - 3)


def statuses(run_type: str, services: Mapping[str, Service] = SERVICES) -> dict[str, list[str]]:
    """What a run type leaves behind, as the driver reads it: the statuses in each table."""
    words = left(run_type, services)
    return {TABLES[name]: _statuses(row, words[name]) for name, row in services.items()}


def _statuses(row: Service, word: str) -> list[str]:
    return {NOTHING: list[str](), NEVER: [f"{row.compensated} ({NEVER})"]}.get(word, [word])
