"""The claim, as a function of what is there afterwards: every row of the three tables and every notice.

For each accepted reservation, everything stands and one distinct success notice went out, or nothing stands and one
distinct failure notice did. A refused one (400, 409) leaves no row and no notice. No row is nobody's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Row = Mapping[str, str]
STANDS = {"flights": ("pending", "confirmed"), "cars": ("pending", "confirmed"), "payments": ("confirmed",)}
IDS = {"flights": "flight_id", "cars": "car_id", "payments": "payment_id"}


@dataclass(frozen=True)
class Reservation:
    """One `trips/reserve` invocation and the answer that its caller got."""

    trip_id: str
    invocation_id: str
    status: int
    answer: str


def violations(
    reservations: Sequence[Reservation], rows: Mapping[str, Iterable[Row]], notices: Iterable[Mapping[str, str]]
) -> list[str]:
    """Each breach of the invariant in a sentence. `rows` has one entry for each of flights, cars and payments."""
    found: list[str] = []
    distinct: defaultdict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for notice in notices:
        distinct[notice["invocation_id"]].add(tuple(sorted(notice.items())))
    table = {(name, row["pk"], row["id"]): row["transaction_status"] for name in STANDS for row in rows[name]}
    booked = Counter(reservation.trip_id for reservation in reservations if reservation.status == 200)
    found += [f"{trip} was booked {count} times" for trip, count in booked.items() if count > 1]
    accounted: set[tuple[str, str, str]] = set()

    for reservation in reservations:
        who = f"{reservation.trip_id} ({reservation.invocation_id}, {reservation.status})"
        sent = [dict(notice) for notice in distinct.pop(reservation.invocation_id, set())]
        if reservation.status in (400, 409):
            found += [f"{who} was refused, and a notice went out: {notice}" for notice in sent]
            continue
        if reservation.status not in (200, 422):
            found.append(f"{who} was answered: {reservation.answer}")
        if len(sent) != 1:
            found.append(f"{who} has {len(sent)} distinct notices instead of one: {sent}")
            continue
        [notice] = sent
        right = "success" if reservation.status == 200 else "failure"
        if notice["status"] != right or notice["trip_id"] != reservation.trip_id:
            found.append(f"{who} has the wrong notice: {notice}")
        for name, standing in STANDS.items():
            key = (name, reservation.trip_id, notice[IDS[name]])
            accounted.add(key)
            status = table.get(key, "no row")
            if right == "success" and status != "confirmed":
                found.append(f"{who} was booked, and in {name} there is: {status}")
            if right == "failure" and status in standing:
                found.append(f"{who} was not booked, and in {name} there is: {status}")

    found += [f"a notice of a reservation that nobody made: {notice}" for notice in distinct.values()]
    for name, trip_id, booking in table.keys() - accounted:
        status = table[name, trip_id, booking]
        found.append(f"a row of nobody in {name}: {trip_id} {booking} {status}")
    return found
