"""Each rule that guards the claim is taken away, one at a time, and a plan then breaks the claim: none is decoration.

A rule is taken away by changing the services' text, in a copy that runs for that test only. On the services as they
are, the same plan breaks nothing: the other tests show that.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from localcloud.cloud import Ports
from localcloud.environment import ROOT
from tests.faults.harness import CloudBehindProxy, Harness
from tests.faults.plans import CANCELS, Plan, Trip, at_every_call, for_good
from tests.faults.proxy import Proxy

Change = tuple[str, str, str]
"""A file, a text in it, and what stands there instead."""

NOTE_CAR, RESERVE_CAR = "saga.undo_with(cars.cancel, car.booking)", "await saga.step(cars.reserve, car)"
CONFIRM_CAR = "        await saga.step(cars.confirm, car.booking)\n"
SUCCESS = "        ctx.service_send(notify, notice.of_success())\n"
UNDO = '        aws.dynamodb().update_item(\n            TableName=os.environ[self.table],\n            Key=_key(trip_id, booking_id),\n            UpdateExpression="SET transaction_status = :status'  # noqa: E501
LOOK_FIRST = "        if not aws.dynamodb().get_item(TableName=os.environ[self.table], Key=_key(trip_id, booking_id)).get('Item'):\n            return\n"  # noqa: E501

RULES: dict[str, tuple[list[Change], Plan, str]] = {
    "undo is noted before its step": (
        [
            ("trips.py", NOTE_CAR, "await saga.step(cars.reserve, car)  # and then"),
            ("trips.py", RESERVE_CAR + "\n", NOTE_CAR + "\n"),
        ],
        at_every_call(*CANCELS),
        "in cars there is: pending",
    ),
    "undo leaves a tombstone": (
        [("bookings.py", UNDO, LOOK_FIRST + UNDO)],
        for_good("late", "cars.reserve"),
        "in cars there is: pending",
    ),
    "a booking is not taken where one was undone": (
        [("bookings.py", "attribute_not_exists(pk) OR transaction_status = :status", ":status = :status")],
        for_good("late", "flights.reserve"),
        "in flights there is: pending",
    ),
    "confirming never creates a row, and never revives one": (
        [("bookings.py", "transaction_status IN (:pending, :confirmed)", ":pending <> :confirmed")],
        for_good("late", "flights.confirm"),
        "in flights there is: confirmed",
    ),
    "one live booking per trip": (
        [("flights.py", "if await bookings.held_by_another(ctx.key(), flight.id):", "if False:")],
        Plan([Trip(callers=3)]),
        "was booked 3 times",
    ),
    "forward steps give up": (
        [("payments.py", "GIVE_UP_AFTER_8_ATTEMPTS)", "NEVER_GIVE_UP)")],
        for_good("reset", "payments.process"),
        "was booked although",
    ),
    "undo never gives up": (
        [("cars.py", "=RETRY_UP_TO_A_MINUTE)", "=GIVE_UP_AFTER_8_ATTEMPTS)")],
        for_good("reset", "cars.cancel", attempts=9, run_type="failPayment"),
        "in cars there is: pending",
    ),
    "undo is sent, so that no cancellation interrupts it": (
        [
            ("saga.py", "self._ctx.object_send,", "self._ctx.object_call,"),
            ("saga.py", "    def undo(self", "    async def undo(self"),
            ("saga.py", "            send()\n", "            await send()  # type: ignore\n"),
            ("trips.py", "failure = saga.undo(error)", "failure = await saga.undo(error)"),
        ],
        Plan([Trip(run_type="failPayment", faults={"cars.cancel 1": "cancel before"})]),
        "a row of nobody in flights: ",
    ),
    "the success notice comes last": (
        [("trips.py", SUCCESS, ""), ("trips.py", CONFIRM_CAR, SUCCESS + CONFIRM_CAR)],
        Plan([Trip(run_type="failCarRentalConfirmation")]),
        "2 distinct notices",
    ),
    "a notice that is published again is the same notice": (
        [("notifications.py", "encode(notice).decode()", "encode(notice).decode().replace('Trip', str(os.times()))")],
        Plan([Trip(faults={"trips.notify 1": "answer lost"})]),
        "2 distinct notices",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_the_claim_breaks(rule: str, tmp_path: Path) -> None:
    # given the services without the rule
    changes, plan, complaint = RULES[rule]
    lambdas = tmp_path / "lambdas"
    shutil.copytree(ROOT / "lambdas", lambdas)
    for name, text, instead in changes:
        source = lambdas / "holiday" / name
        assert text in source.read_text()
        source.write_text(source.read_text().replace(text, instead))

    # when the plan runs, then the claim breaks in just this way
    found = asyncio.run(run(plan, tmp_path / "cloud", lambdas))
    assert any(complaint in violation for violation in found), found


async def run(plan: Plan, directory: Path, lambdas: Path) -> list[str]:
    ports = Ports.free()
    async with Proxy(ports.aws) as proxy:
        with CloudBehindProxy(directory, ports, proxy) as cloud:
            harness = Harness.in_one_process(cloud, proxy)
            services = harness.serve(lambdas)
            try:
                return await harness.run(plan)
            finally:
                services.stop()
