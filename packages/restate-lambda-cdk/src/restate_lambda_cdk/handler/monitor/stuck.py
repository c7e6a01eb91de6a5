"""Which invocations are stuck, by service: a query of Restate's introspection tables, with and without VQueues.

Restate counts them by its own clock, so that ten thousand are as little work as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registration.admin import Admin, quoted

UNFINISHED = Path(__file__).with_name("unfinished.sql").read_text()


@dataclass(frozen=True)
class Stuck:
    """How many invocations of a service are stuck, and the age of the oldest in seconds."""

    service: str
    count: int
    oldest_seconds: float


def query(threshold_seconds: int, services: Sequence[str]) -> str:
    """The SQL that counts what has been stuck for longer than this, of these services, or of all if none are given."""
    among = f" AND service IN ({quoted(services)})" if services else ""
    return (
        "SELECT service, count(*) AS stuck, to_unixtime(now()) - to_unixtime(min(stuck_since)) AS oldest_seconds "
        f"FROM ({UNFINISHED}) WHERE stuck_since < now() - INTERVAL '{threshold_seconds} seconds'{among} "
        "GROUP BY service ORDER BY stuck DESC, service"
    )


def stuck(admin: Admin, threshold_seconds: int, services: Sequence[str]) -> list[Stuck]:
    """The services with stuck invocations, the one with the most first. Raises AdminError."""
    rows: list[dict[str, Any]] = admin.query(query(threshold_seconds, services))
    return [Stuck(row["service"], row["stuck"], row["oldest_seconds"]) for row in rows]
