"""Fault plans. A plan is data: it can be generated, shrunk, printed, and run again exactly."""

import random

import msgspec

from holiday.services import RUN_TYPES, SERVICES
from tests import expectations

GATE = f"{next(iter(SERVICES))}.look"
STEPS = (GATE, *expectations.STEPS)
COMPENSATIONS = expectations.COMPENSATIONS
CALLS = (*STEPS, *COMPENSATIONS, "trips.notify")
HARMLESS = ("throttled", "broken", "reset", "answer lost", "late", "slow")
CANCELS = ("cancel before", "cancel during", "cancel after", "cancel twice")
CRASHES = ("crash before", "crash after")
OUTAGES = ("outage 1", "outage 2")
ATTEMPTS = 8
"""The attempts of a forward step before it is given up."""


class Trip(msgspec.Struct, frozen=True, omit_defaults=True):
    """One trip id and everything that happens to it.

    run_type: as in the contract.
    callers: the number of concurrent reservations, each with its own idempotency key.
    repeats: the number of further concurrent requests with the first one's key.
    reused: how often that key is reused, each time after it was purged.
    again: whether the trip is requested once more when all of that has ended.
    cancelled: whether one more reservation is made and cancelled at once.
    faults: the proxy's faults, by call and attempt ("cars.confirm 2").
    """

    run_type: str = ""
    callers: int = 1
    repeats: int = 0
    reused: int = 0
    again: bool = False
    cancelled: bool = False
    faults: dict[str, str] = {}

    def may_fail(self) -> bool:
        """Whether a failure is allowed: it was requested, cancelled, one of several callers, or given up."""
        asked_for = self.run_type or self.callers > 1 or self.again
        return bool(asked_for or self.is_cancelled() or len(self.faults) >= ATTEMPTS)

    def is_cancelled(self) -> bool:
        """Whether a reservation of it is cancelled."""
        return self.cancelled or any(fault in CANCELS for fault in self.faults.values())

    def must_fail(self) -> bool:
        """Whether success would be wrong: a failure was requested, or a step fails at every attempt."""
        given_up = any(
            all(self.faults.get(f"{step} {attempt}") in ("reset", "late") for attempt in range(1, ATTEMPTS + 1))
            for step in STEPS
        )
        return (bool(self.run_type) or given_up) and not self.again


class Plan(msgspec.Struct, frozen=True):
    """Trips that are booked together."""

    trips: list[Trip]

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        return msgspec.json.decode(text, type=cls)


def at_every_call(*faults: str) -> Plan:
    """A trip for each fault and call, with the fault at the call's first attempt."""
    return Plan(
        [
            Trip(run_type="failNotification" if call in COMPENSATIONS else "", faults={f"{call} 1": fault})
            for call in CALLS
            for fault in faults
        ]
    )


def for_good(fault: str, *calls: str, attempts: int = ATTEMPTS, run_type: str = "") -> Plan:
    """A trip for each call, which fails with this fault at each of its first `attempts`."""
    return Plan(
        [
            Trip(run_type=run_type, faults={f"{call} {attempt}": fault for attempt in range(1, attempts + 1)})
            for call in calls
        ]
    )


def draw(pick: random.Random, rarity: int = 3) -> Trip:
    """A trip with up to three faults. The first of every choice is the most harmless, so that shrinking ends there.

    Crashes and outages affect all trips at once: the larger `rarity`, the fewer of them.
    """
    kinds = HARMLESS * 2 * rarity + CANCELS * rarity + CRASHES + OUTAGES
    return Trip(
        run_type=pick.choice(("", "", "", "", *RUN_TYPES)),
        callers=pick.choice((1, 1, 1, 1, 2, 3)),
        repeats=pick.choice((0, 0, 0, 2)),
        reused=pick.choice((0, 0, 0, 1, 2)),
        again=pick.choice((False, False, True)),
        cancelled=pick.choice((False,) * 9 + (True,)),
        faults={f"{pick.choice(CALLS)} {pick.choice((1, 2, 3))}": pick.choice(kinds) for _ in range(pick.randrange(4))},
    )
