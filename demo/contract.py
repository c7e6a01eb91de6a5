"""What each run type leaves behind, written by hand rather than derived from the code that it checks.

A kind of booking that is not in the contract, because its service was added later, is checked by the rule for every
trip: it is pending or confirmed if the trip is booked, and not otherwise.
"""

from dataclasses import dataclass, field

from localcloud.tables import Row

NEVER, NOTHING = "never taken", "—"
KINDS = ("flight", "car", "payment")
LIVE = ("pending", "confirmed")
"""What a booking is until it is compensated. A compensated one has its service's own status, whatever that is."""
CONTRACT = {  # run type: the final state of the flight, the car and the payment
    "success": ("confirmed", "confirmed", "confirmed"),
    "failFlightsReservation": (NEVER, NOTHING, NOTHING),
    "failCarRentalReservation": ("cancelled", NEVER, NOTHING),
    "failPayment": ("cancelled", "cancelled", NEVER),
    "failFlightsConfirmation": ("cancelled", "cancelled", "refunded"),
    "failCarRentalConfirmation": ("cancelled", "cancelled", "refunded"),
    "failNotification": ("cancelled", "cancelled", "refunded"),
}


@dataclass
class Trip:
    """A request for a trip, and its results.

    Args:
        run_type: "success" without a simulated failure.
        status: of the HTTP answer.
        answer: its body.
        seconds: from the request to the answer.
        rows: by kind of booking; empty if the kind's table has no row of this trip.
        notices: the status of each notice.
    """

    trip_id: str
    run_type: str
    status: int
    answer: str
    seconds: float
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    notices: list[str] = field(default_factory=list[str])


def complaint(trip: Trip) -> str | None:
    """How this trip differs from the contract, or None."""
    status, notice = (200, "success") if trip.run_type == "success" else (422, "failure")
    if trip.status != status:
        return f"HTTP {trip.status} instead of {status}: {trip.answer}"
    expected = dict(zip(KINDS, CONTRACT.get(trip.run_type, ()), strict=False))
    for kind in dict.fromkeys([*expected, *trip.rows]):
        found = word(trip.rows.get(kind))
        if kind in expected and found != expected[kind]:
            return f"the {kind} is {found!r} instead of {expected[kind]!r}"
        if (found in LIVE) != (notice == "success"):
            return f"the {kind} is {found!r}, and the trip a {notice}"
    if trip.notices != [notice]:
        return f"notices {trip.notices or 'missing'} instead of one {notice}"
    return None


def word(row: Row | None) -> str:
    """One row in a word or two. A tombstone (keys, ids and a status only) means that nothing was booked."""
    if not row:
        return NOTHING
    if not (status := row.get("transaction_status")):
        return "without a status"
    return NEVER if is_tombstone(row) and status not in LIVE else status


def is_tombstone(row: Row) -> bool:
    """Whether this row stands for a booking that was cancelled before it was made."""
    return set(row) <= {"pk", "sk", "id", "trip_id", "transaction_status"}
