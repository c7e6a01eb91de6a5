"""The check of the invariant finds every kind of violation and reports nothing that is allowed."""

from typing import Any

import pytest

from holiday.services import SERVICES
from tests.faults.invariant import NEVER_BEGAN, Reservation, Row, violations

BOOKED = dict.fromkeys(SERVICES, "confirmed")
COMPENSATED = {name: row.compensated for name, row in SERVICES.items()}


def rows(**statuses: str) -> dict[str, list[Row]]:
    """One row in each of these tables, made by the reservation `inv`."""
    return {
        table: [{"pk": "trip", "id": f"inv-{table}", "transaction_status": statuses[table]}]
        if table in statuses
        else []
        for table in BOOKED
    }


def notice(status: str, **changes: str) -> dict[str, str]:
    ids = {f"{row.booking}_id": f"inv-{name}" for name, row in SERVICES.items()}
    return {"trip_id": "trip", "invocation_id": "inv", "status": status} | ids | changes


def reservation(status: int, answer: str = "{}") -> Reservation:
    return Reservation("trip", "inv", status, answer)


@pytest.mark.parametrize(
    ("status", "left", "sent"),
    [
        (200, rows(**BOOKED), [notice("success")]),
        (200, rows(**BOOKED), [notice("success"), notice("success")]),  # SNS delivers at least once
        (422, rows(**COMPENSATED), [notice("failure")]),
        (422, rows(flights="cancelled"), [notice("failure")]),
        (409, rows(), []),
        (400, rows(), []),
    ],
)
def test_what_the_invariant_allows(status: int, left: dict[str, list[Row]], sent: list[dict[str, str]]) -> None:
    assert violations([reservation(status)], left, sent) == []


@pytest.mark.parametrize(
    ("status", "left", "sent", "complaint"),
    [
        (200, rows(**BOOKED), [], "0 distinct notices"),
        (200, rows(**BOOKED), [notice("success"), notice("failure")], "2 distinct notices"),
        (200, rows(**BOOKED), [notice("failure")], "1 distinct notices"),
        (200, rows(**BOOKED | {"cars": "pending"}), [notice("success")], "in cars is: pending"),
        (200, rows(flights="confirmed", cars="confirmed"), [notice("success")], "in payments is: no row"),
        (422, rows(**COMPENSATED), [], "0 distinct notices"),
        (422, rows(**COMPENSATED), [notice("success")], "1 distinct notices"),
        (422, rows(**COMPENSATED), [notice("success"), notice("failure")], "2 distinct notices"),
        (422, rows(**COMPENSATED), [notice("failure", trip_id="another")], "the notice of another trip"),
        *(
            (422, rows(**COMPENSATED | {name: status}), [notice("failure")], f"in {name} is: {status}")
            for name in SERVICES
            for status in ("pending", "confirmed", "what no compensation leaves")
        ),
        (409, rows(flights="pending"), [], "a row without a reservation in flights"),
        (409, rows(flights="cancelled"), [], "a row without a reservation in flights"),
        (409, rows(), [notice("failure")], "was refused, but a notice was sent"),
        (400, rows(flights="cancelled"), [], "a row without a reservation in flights"),
        (500, rows(), [notice("failure")], "was answered"),
        (422, rows(), [notice("failure"), notice("failure", invocation_id="other")], "unknown reservation"),
    ],
)
def test_what_the_invariant_forbids(
    status: int, left: dict[str, list[Row]], sent: list[dict[str, str]], complaint: str
) -> None:
    assert any(complaint in found for found in violations([reservation(status)], left, sent))


def test_a_trip_that_is_booked_twice_is_found() -> None:
    twice: list[Any] = [reservation(200), Reservation("trip", "other", 200, "{}")]

    assert "trip was booked 2 times" in violations(twice, rows(**BOOKED), [notice("success")])


@pytest.mark.parametrize(("status", "answer"), [(409, NEVER_BEGAN[0]), (404, NEVER_BEGAN[1])])
def test_what_was_cancelled_before_it_began_leaves_nothing(status: int, answer: str) -> None:
    never_began = reservation(status, answer)

    assert violations([never_began], rows(), []) == []
    assert violations([reservation(422), never_began], rows(**COMPENSATED), [notice("failure")]) == []
    for left, sent in ((rows(flights="cancelled"), []), (rows(), [notice("failure")])):
        assert violations([never_began], left, sent) != []
    two = [notice("failure"), notice("failure", message="2")]
    assert violations([reservation(422), never_began], rows(**COMPENSATED), two) != []


def test_no_other_answer_counts_as_cancelled_before_it_began() -> None:
    other = reservation(404, NEVER_BEGAN[1].replace("invocation", "ingress"))

    assert any("was answered" in found for found in violations([other], rows(), []))


ROLLED_BACK = '{"metadata": {"reason": "rolled back"}}'
CUT_OFF = '{"metadata": {"reason": "cancelled"}}'


@pytest.mark.parametrize(
    ("answers", "left", "sent"),
    [
        ([(200, ""), (200, "")], BOOKED, [notice("success")]),
        ([(200, ""), (422, CUT_OFF)], BOOKED, [notice("success"), notice("failure")]),
        ([(422, "{}"), (422, ROLLED_BACK)], COMPENSATED, [notice("failure")]),
        ([(422, "{}"), (422, CUT_OFF)], COMPENSATED, [notice("failure"), notice("failure", message="cut off")]),
        ([(409, "{}"), (200, "")], BOOKED, [notice("success")]),
    ],
)
def test_what_the_invariant_allows_for_a_reused_key(
    answers: list[tuple[int, str]], left: dict[str, str], sent: list[dict[str, str]]
) -> None:
    assert violations([Reservation("trip", "inv", *answer) for answer in answers], rows(**left), sent) == []


@pytest.mark.parametrize(
    ("answers", "left", "sent", "complaint"),
    [
        (
            [(200, ""), (422, CUT_OFF)],
            BOOKED | {"flights": "cancelled"},
            [notice("success")],
            "in flights is: cancelled",
        ),
        ([(200, ""), (200, "")], BOOKED, [notice("success"), notice("success", message="2")], "2 distinct notices"),
        ([(200, ""), (200, "")], BOOKED, [notice("success"), notice("failure")], "2 distinct notices"),
        ([(200, ""), (422, ROLLED_BACK)], BOOKED, [notice("success")], "reported as rolled back"),
        (
            [(422, "{}"), (422, ROLLED_BACK)],
            COMPENSATED,
            [notice("failure"), notice("failure", message="2")],
            "2 distinct",
        ),
        (
            [(422, "{}"), (200, "")],
            COMPENSATED,
            [notice("success")],
            "was booked, but its row in flights is: cancelled",
        ),
    ],
)
def test_what_the_invariant_forbids_for_a_reused_key(
    answers: list[tuple[int, str]], left: dict[str, str], sent: list[dict[str, str]], complaint: str
) -> None:
    found = violations([Reservation("trip", "inv", *answer) for answer in answers], rows(**left), sent)
    assert any(complaint in violation for violation in found), found
