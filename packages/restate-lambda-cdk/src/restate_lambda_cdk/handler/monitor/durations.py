"""How long the completed invocations of some handlers took in a window of time, by a query of Restate's
introspection tables, with and without VQueues.

Restate keeps a completed invocation for a day, unless its service says otherwise, so handlers do nothing for this.
Windows follow from the schedule, not from the time of a check or Restate's clock: one ends where the next begins, so
each invocation is in exactly one. Restate groups the results: ten thousand invocations are as little work as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from registration.admin import Admin, quoted

GROWTH = 1.05
"""From one value to the next. A duration is published as the nearest one, so it is at most 2.5 % off."""
MOST_VALUES = 150  # that CloudWatch takes in one datum
SETTLED = timedelta(minutes=1)
"""How long ago a window ended when it is queried: Restate's clock may be that far behind the schedule's."""


@dataclass(frozen=True)
class Window:
    """From `begin` to just before `end`."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, event: object, interval: timedelta) -> "Window | None":
        """The window of a scheduled event. Others, such as a person's `{}`, have none.

        Raises ValueError if the event's time is invalid.
        """
        time = cast(Mapping[str, Any], event).get("time") if isinstance(event, Mapping) else None
        if not time:
            return None
        end = datetime.fromisoformat(time).astimezone(UTC) - SETTLED
        return cls(end - interval, end)


def query(handlers: Sequence[str], window: Window) -> str:
    """The SQL that counts invocations by handler and by the power of GROWTH that is nearest to their milliseconds.

    Restate 1.7 fills in scheduled_start_at only where scheduled_at is asked for too.
    """
    begin, end = (f"to_timestamp_millis({round(each.timestamp() * 1000)})" for each in (window.begin, window.end))
    return (
        f"SELECT handler, CAST(round(ln(greatest(ms, 1)) / ln({GROWTH})) AS BIGINT) AS power, count(*) AS invocations "
        "FROM (SELECT concat(target_service_name, '/', target_handler_name) AS handler, "
        "arrow_cast(completed_at, 'Int64') - arrow_cast(coalesce(CASE WHEN scheduled_at IS NOT NULL "
        "THEN scheduled_start_at END, created_at), 'Int64') AS ms FROM sys_invocation "
        f"WHERE completion_result = 'success' AND completed_at >= {begin} AND completed_at < {end}) "
        f"WHERE handler IN ({quoted(handlers)}) GROUP BY handler, power ORDER BY handler, power"
    )


def metrics(admin: Admin, monitor: str, handlers: Sequence[str], window: Window) -> list[dict[str, Any]]:
    """The arguments of PutMetricData, with the window's begin as the time, for the handlers that completed something.

    Raises AdminError.
    """
    rows: list[dict[str, Any]] = admin.query(query(handlers, window))
    found = {name: [row for row in rows if row["handler"] == name] for name in handlers}
    return [
        {
            "MetricName": "InvocationDuration",
            "Dimensions": [{"Name": "Monitor", "Value": monitor}, {"Name": "Handler", "Value": name}],
            "Timestamp": window.begin,
            "Values": [round(GROWTH ** row["power"], 1) for row in some],
            "Counts": [row["invocations"] for row in some],
            "Unit": "Milliseconds",
        }
        for name, its in found.items()
        for some in (its[first : first + MOST_VALUES] for first in range(0, len(its), MOST_VALUES))
    ]
