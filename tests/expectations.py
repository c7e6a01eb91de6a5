"""What tests expect of a service because it has a row in services.py, never because trips calls it.

So a compensation or a step that trips forgets is a failing test. By hand is what the original run types leave behind
(demo/contract.py): tests/unit/test_services.py holds what is derived here to that.
"""

from collections.abc import Mapping

from demo.contract import NEVER, NOTHING
from demo.readme import FIRST_STEPS, left
from holiday.services import SERVICES, Service

TABLES = {name: name.capitalize() for name in SERVICES}
"""What the stack calls each service's table, and begins the name of its output with."""

LATER_STEPS = tuple(f"{name}.{step}" for name, row in SERVICES.items() for step in list(row.steps)[1:])
STEPS = FIRST_STEPS + LATER_STEPS
COMPENSATIONS = tuple(f"{name}.{row.compensation}" for name, row in reversed(SERVICES.items()))
"""In the order in which they are sent."""


def more_invocations() -> int:
    """How many Lambda invocations a trip may take beyond the limits that are given for a flight, a car and a payment.

    A service more takes its first step and another handler, and trips is invoked once more when the first has ended.
    """
    return 3 * (len(SERVICES) - 3)


def statuses(run_type: str, services: Mapping[str, Service] = SERVICES) -> dict[str, list[str]]:
    """The same as the driver reads it: the statuses in each table."""
    words = left(run_type, services)
    return {TABLES[name]: _statuses(row, words[name]) for name, row in services.items()}


def _statuses(row: Service, word: str) -> list[str]:
    return {NOTHING: list[str](), NEVER: [f"{row.compensated} ({NEVER})"]}.get(word, [word])
