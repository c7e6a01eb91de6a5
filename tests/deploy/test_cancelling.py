"""Anyone with an invocation's id and access to the ingress can cancel it there, as docs/calling.md says."""

import base64
from functools import partial

import pytest

from localcloud.invocations import unfinished
from tests import expectations
from tests.deploy.blocked_trips import without_table
from tests.driver import Holiday, eventually, log_lines
from tests.expectations import TABLES

pytestmark = pytest.mark.slow

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CANCEL = 1
"""The number of Restate's signal for cancelling an invocation."""


def signal_of(invocation: str) -> str:
    """The awakeable id that cancels an invocation: its id's two numbers, from base 62 to base 64, and the signal's."""
    digits = invocation.removeprefix("inv_1")
    whole = b"".join(
        sum(DIGITS.index(digit) * 62**place for place, digit in enumerate(reversed(part))).to_bytes(size, "little")
        for part, size in ((digits[:11], 8), (digits[11:], 16))
    )
    return "sign_1" + base64.urlsafe_b64encode(whole + CANCEL.to_bytes(4, "big")).decode().rstrip("=")


def cancel(holiday: Holiday, invocation: str, verb: str = "resolve") -> None:
    """Cancel an invocation through the ingress only."""
    answer = holiday.http.post(f"/restate/awakeables/{signal_of(invocation)}/{verb}", json="any")
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("verb", ["resolve", "reject"])
def test_a_caller_who_knows_its_id_cancels_a_trip_through_the_ingress(
    holiday: Holiday, trip_id: str, verb: str
) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a trip that is blocked by a missing table
        invocation = holiday.send({"trip_id": trip_id})
        failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 0")
        assert eventually(lambda: holiday.query(failing), bool)

        # when somebody sends it the signal through the ingress, then it is cancelled as if by an operator
        cancel(holiday, invocation, verb)
        answer = holiday.answer(invocation)
        assert (answer.status_code, answer.json()["metadata"]["reason"]) == (422, "cancelled")

    holiday.settle()
    statuses = {name: [status.split()[0] for status in found] for name, found in holiday.statuses(trip_id).items()}
    assert statuses == expectations.statuses("failNotification")
    assert [notice["status"] for notice in holiday.notices(trip_id)] == ["failure"]


def test_anyone_who_knows_a_compensation_s_id_can_cancel_that_too(holiday: Holiday, trip_id: str) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a refund that is queued behind a payment that cannot succeed
        invocation = holiday.send({"trip_id": trip_id})
        failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 0")
        assert eventually(lambda: holiday.query(failing), bool)
        cancel(holiday, invocation)
        [refund] = eventually(lambda: holiday.query(unfinished(f"target = 'payments/{trip_id}/refund'")), bool)

        # when it gets the signal, then it is gone
        cancel(holiday, refund["id"])
        still = unfinished(f"id = '{refund['id']}'")
        assert eventually(lambda: holiday.query(still), lambda found: not found) == []
    everything = unfinished(f"target LIKE '%{trip_id}%' OR target = 'trips/notify'")
    assert eventually(lambda: holiday.query(everything), lambda found: not found) == []
    # The trip's journal still names the lost refund, so `settle` would wait for it forever.
    holiday.purge(invocation)
    holiday.settle()

    # and the payment is never refunded
    assert "refunded" not in " ".join(holiday.statuses(trip_id)["Payments"])


@pytest.mark.parametrize("way", ["ingress", "admin"])
def test_a_trip_that_is_cancelled_before_it_starts_leaves_no_row_and_no_notice(
    holiday: Holiday, trip_id: str, way: str
) -> None:
    # given a trip that is scheduled for later
    invocation = holiday.send({"trip_id": trip_id}, "1h")
    found = partial(holiday.query, unfinished(f"id = '{invocation}' AND status = 'scheduled'"))
    assert eventually(found, bool)

    # when it is cancelled, then it ends without its handler having begun
    if way == "ingress":
        cancel(holiday, invocation)
    else:
        holiday.cloud.admin.operate("cancel", invocation)
    assert eventually(found, lambda rows: not rows) == []
    holiday.settle()
    assert holiday.statuses(trip_id) == {table: [] for table in TABLES.values()}
    assert holiday.notices(trip_id) == []

    # and a trip with that id that begins at once has rows and a notice, so this test would have found them
    assert holiday.reserve({"trip_id": trip_id}).status_code == 200
    holiday.settle()
    assert len(eventually(lambda: holiday.notices(trip_id), bool)) == 1


def test_the_answer_the_notice_and_the_logs_contain_the_invocation_id(holiday: Holiday, trip_id: str) -> None:
    answer = holiday.reserve({"trip_id": trip_id})
    invocation = holiday.invocation_of(answer)
    holiday.settle()

    [notice] = eventually(lambda: holiday.notices(trip_id), bool)
    assert notice["invocation_id"] == invocation
    logged = f'"invocation_id": "{invocation}"'
    assert any(logged in line for line in log_lines(holiday.cloud))
