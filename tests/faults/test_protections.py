"""Removes each rule that protects the invariant, one at a time, and shows that a plan then violates it.

A rule is removed by editing a copy of the services that runs for that test only. With the original services, the same
plans violate nothing, as the other tests show.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.faults.harness import CloudBehindProxy, Harness
from tests.faults.plans import CANCELS, COMPENSATIONS, Plan, Trip, at_every_call, for_good
from tests.faults.proxy import Proxy

Change = tuple[str, str, str]
"""A file, a text in it, and its replacement."""

REGISTER = "        self._compensations.append((compensation, Compensation(booking.id, spare)))\n"
CALL = "        await self._ctx.object_call(handler, self._trip_id, booking)\n"
CONFIRM = "        await saga.side_by_side((flights.confirm, flight.booking), (cars.confirm, car.booking))\n"
SUCCESS = "        ctx.service_send(notify, notice.of_success())\n"
TOMBSTONE = "attribute_not_exists(pk) OR transaction_status <> :spared"

RULES: dict[str, tuple[list[Change], Plan, str]] = {
    "the compensation is registered before its step": (
        [
            ("saga.py", REGISTER, ""),
            ("saga.py", CALL, CALL + REGISTER),
        ],
        at_every_call(*CANCELS),
        "in cars is: pending",
    ),
    "a compensation leaves a tombstone": (
        [("bookings.py", TOMBSTONE, "attribute_exists(pk) AND transaction_status <> :spared")],
        for_good("late", "cars.reserve"),
        "in cars is: pending",
    ),
    "a booking is not made where one was cancelled": (
        [("bookings.py", "attribute_not_exists(pk) OR transaction_status = :status", ":status = :status")],
        for_good("late", "flights.reserve"),
        "in flights is: pending",
    ),
    "confirming never creates a row or reinstates a cancelled one": (
        [
            (
                "bookings.py",
                'ConditionExpression="transaction_status IN (:pending, :confirmed)"',
                'ConditionExpression=":pending <> :confirmed"',
            )
        ],
        for_good("late", "flights.confirm"),
        "in flights is: confirmed",
    ),
    "one live booking per trip": (
        [("flights.py", "found.own is None and found.another_is_live", "False")],
        Plan([Trip(callers=3)]),
        "was booked 3 times",
    ),
    "the gate looks at its own booking first": (
        [("flights.py", 'found.own == "confirmed"', "False")],
        Plan([Trip(reused=1)]),
        "failed for no reason",
    ),
    "until the gate lets a run in, its compensation leaves a confirmed flight alone": (
        [("services.py", 'return "confirmed" if len(self.steps) > 1 else "nothing"', 'return "nothing"')],
        Plan([Trip(reused=1, faults={"flights.look 2": "cancel before"})]),
        "was booked, but its row in flights is: cancelled",
    ),
    "forward steps give up": (
        [("payments.py", "import GIVE_UP_AFTER_8_ATTEMPTS,", "import NEVER_GIVE_UP as GIVE_UP_AFTER_8_ATTEMPTS,")],
        for_good("reset", "payments.process"),
        "was booked although",
    ),
    "compensations never give up": (
        [("cars.py", "=RETRY_UP_TO_A_MINUTE,", "=GIVE_UP_AFTER_8_ATTEMPTS,")],
        for_good("reset", "cars.cancel", attempts=9, run_type="failPayment"),
        "in cars is: pending",
    ),
    "compensations are sent, so that no cancellation interrupts them": (
        [
            ("saga.py", "self._ctx.object_send(", "await self._ctx.object_call("),
            ("saga.py", "    def compensate(self", "    async def compensate(self"),
            ("trips.py", "compensations = saga.compensate()", "compensations = await saga.compensate()"),
        ],
        Plan([Trip(run_type="failPayment", faults={"cars.cancel 1": "cancel before"})]),
        "a row without a reservation in flights: ",
    ),
    "the success notice comes last": (
        [("trips.py", SUCCESS, ""), ("trips.py", CONFIRM, SUCCESS + CONFIRM)],
        Plan([Trip(run_type="failCarRentalConfirmation")]),
        "2 distinct notices",
    ),
    "a notice that is published again is the same notice": (
        [("notifications.py", "notice.to_json()", "notice.to_json().replace('Trip', str(os.times()))")],
        Plan([Trip(faults={"trips.notify 1": "answer lost"})]),
        "2 distinct notices",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_the_invariant_is_violated(rule: str, tmp_path: Path) -> None:
    # given the services without the rule, when the plan runs, then it violates the invariant in exactly this way
    changes, plan, complaint = RULES[rule]
    found = asyncio.run(run(plan, tmp_path, changes))
    assert any(complaint in violation for violation in found), found


@pytest.mark.slow
def test_compensations_that_fail_more_often_than_a_step_may_are_not_given_up(tmp_path: Path) -> None:
    # given the services with pauses of milliseconds instead of seconds, and compensations that fail nine times
    changes = [("retries.py", "timedelta(seconds=2)", "timedelta(milliseconds=20)")]
    changes += [("retries.py", "timedelta(minutes=1)", "timedelta(milliseconds=600)")]

    # when the trips are rolled back, then no booking is left
    assert (
        asyncio.run(run(for_good("reset", *COMPENSATIONS, attempts=9, run_type="failNotification"), tmp_path, changes))
        == []
    )


async def run(plan: Plan, folder: Path, changes: list[Change]) -> list[str]:
    """Run a plan on a copy of the services with these changes. Returns the violations."""
    lambdas = folder / "lambdas"
    shutil.copytree(ROOT / "lambdas", lambdas)
    for name, text, instead in changes:
        source = lambdas / "holiday" / name
        assert text in source.read_text()
        source.write_text(source.read_text().replace(text, instead))
    ports = Ports.free()
    async with Proxy(ports.aws) as proxy:
        with CloudBehindProxy(folder / "cloud", ports, proxy) as cloud:
            harness = Harness.in_one_process(cloud, proxy)
            services = harness.serve(lambdas)
            try:
                return await harness.run(plan)
            finally:
                services.end()
