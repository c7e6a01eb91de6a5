"""The invariant, as a function of all rows in the services' tables and all notices afterwards.

For each accepted reservation, either all bookings are confirmed and one distinct success notice was sent, or none is
left and one distinct failure notice was sent. A reservation that was refused (400, 409), or cancelled before it began,
leaves no row and no notice. Each row belongs to a reservation.

A key that is reused after it has expired makes another run under the same invocation id. Such runs are
checked together: once booked, the trip stays booked. A run that was cancelled at the gate may send a notice.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from holiday.services import SERVICES

Row = Mapping[str, str]

NEVER_BEGAN = (
    '{"code":409,"message":"canceled","source":"invocation"}',
    '{"code":404,"message":"not found","source":"invocation"}',
)
"""restate-server's own answers, to the byte: trips' have metadata."""


@dataclass(frozen=True)
class Reservation:
    """One run of a `trips/reserve` invocation and the answer that its caller got."""

    trip_id: str
    invocation_id: str
    status: int
    answer: str

    @property
    def reason(self) -> str:
        """The reason in a failure's metadata, or nothing."""
        return "" if self.status == 200 else json.loads(self.answer).get("metadata", {}).get("reason", "")

    @property
    def never_began(self) -> bool:
        """Whether it was cancelled while it was scheduled or queued. Restate keeps nothing of such an invocation:
        callers that wait for it are told "canceled", and later callers "not found"."""
        return self.answer in NEVER_BEGAN


def violations(
    reservations: Sequence[Reservation], rows: Mapping[str, Iterable[Row]], notices: Iterable[Mapping[str, str]]
) -> list[str]:
    """Each violation of the invariant, as a sentence. `rows` has an entry for each service that has a row."""
    found: list[str] = []
    distinct: defaultdict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for notice in notices:
        distinct[notice["invocation_id"]].add(tuple(sorted(notice.items())))
    table = {(name, row["pk"], row["id"]): row["transaction_status"] for name in SERVICES for row in rows[name]}
    runs: defaultdict[tuple[str, str], list[Reservation]] = defaultdict(list)
    for reservation in reservations:
        runs[reservation.trip_id, reservation.invocation_id].append(reservation)
    booked = Counter(trip for (trip, _), made in runs.items() if any(run.status == 200 for run in made))
    found += [f"{trip} was booked {count} times" for trip, count in booked.items() if count > 1]
    accounted: set[tuple[str, str, str]] = set()

    for (trip_id, invocation_id), made in runs.items():
        who = f"{trip_id} ({invocation_id}, {', '.join(str(run.status) for run in made)})"
        sent = [dict(notice) for notice in distinct.pop(invocation_id, set())]
        found += [
            f"{who} was answered: {run.answer}"
            for run in made
            if not (run.never_began or run.status in (200, 400, 409, 422))
        ]
        refused = [run for run in made if run.status in (400, 409) or run.never_began or run.reason == "rolled back"]
        failed = [run for run in made if run.status != 200 and run not in refused]
        right = "success" if any(run.status == 200 for run in made) else "failure"
        if right == "failure" and not failed:
            found += [f"{who} was refused, but a notice was sent: {notice}" for notice in sent]
            continue
        counted = Counter(notice["status"] for notice in sent)
        successes = 1 if right == "success" else 0
        failures = range(1 - successes, len(failed) + 1)
        if counted["success"] != successes or counted["failure"] not in failures:
            found.append(f"{who} has {len(sent)} distinct notices: {sent}")
        if any(run.status == 422 and run.reason == "rolled back" for run in made) and right == "success":
            found.append(f"{who} was booked, and reported as rolled back: {made}")
        if any(notice["trip_id"] != trip_id for notice in sent):
            found.append(f"{who} has the notice of another trip: {sent}")
        for notice, (name, service) in product(sent[:1], SERVICES.items()):
            key = (name, trip_id, notice[f"{service.booking}_id"])
            accounted.add(key)
            status = table.get(key, "no row")
            if right == "success" and status != "confirmed":
                found.append(f"{who} was booked, but its row in {name} is: {status}")
            if right == "failure" and status not in ("no row", service.compensated):
                found.append(f"{who} was not booked, but its row in {name} is: {status}")

    found += [f"a notice of an unknown reservation: {notice}" for notice in distinct.values()]
    for name, trip_id, booking in table.keys() - accounted:
        status = table[name, trip_id, booking]
        found.append(f"a row without a reservation in {name}: {trip_id} {booking} {status}")
    return found
