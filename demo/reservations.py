"""The runs of a trip: each reservation requested under its id, what it called, and how Restate answered it.

`trips/reserve` has no key, so Restate cannot find it by the trip's id. What it calls has one: `flights/oslo/reserve`
names in `invoked_by_id` the run that called it. Restate keeps all this for a day after the end (`KEEP_FOR` in
retries.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from rich.console import Console
from rich.text import Text

from demo.restate import Restate, Row
from localcloud.invocations import UNFINISHED
from localcloud.terminal import table

UNKNOWN = "unknown"
LARGEST_READ = 100_000
"""Bytes of the largest request that is searched for the trip's id. `trips` refuses more than 64 KB."""
CALLED = "json_get_str(entry_lite_json, 'Command', 'Call', 'invocation_target', 'VirtualObject', 'key')"
UNFINISHED_WITH_TRIP = (
    "SELECT u.id, u.target, u.status, u.since, u.failures, u.failure, i.restarted_from, j.raw_length, "
    "coalesce(i.target_service_key, c.key) AS trip, "
    f"CASE WHEN coalesce(i.target_service_key, c.key) IS NULL AND j.raw_length < {LARGEST_READ} "
    "THEN j.entry_json END AS input, "
    "to_unixtime(now()) - to_unixtime(u.stuck_since) AS seconds "
    f"FROM ({UNFINISHED}) u JOIN sys_invocation i ON i.id = u.id "
    "LEFT JOIN sys_journal j ON j.id = u.id AND j.index = 0 "
    f"LEFT JOIN (SELECT id, first_value({CALLED} ORDER BY index) AS key FROM sys_journal "
    "WHERE entry_type = 'Command: Call' GROUP BY id) c ON c.id = u.id"
)
"""The SQL for every unfinished invocation. A condition can be appended.

`trip` is the key of the invocation or, if it has none, of its first call. If it has called nothing, its trip is in
`input`.
"""


@dataclass(frozen=True)
class Run:
    """One reservation of a trip. `answer` is what its caller got or, until then, its status."""

    id: str
    created: datetime
    answer: str


@dataclass(frozen=True)
class Call:
    """A call or send by a run. `message` is its input, empty if Restate no longer has it."""

    id: str
    run: str
    target: str
    created: datetime
    status: str
    message: dict[str, Any]


def runs_of(restate: Restate, trip_id: str) -> list[Run]:
    """The runs of a trip that Restate knows, in the order of their requests.

    A run that ended without a call, because it was refused with 400, is not among them.
    """
    rows = restate.query(
        "SELECT id, created_at, status, completion_result, completion_failure FROM sys_invocation "
        f"WHERE target = 'trips/reserve' AND id IN ({_callers(trip_id)}) ORDER BY created_at, id"
    )
    called = {row["id"]: Run(row["id"], datetime.fromisoformat(row["created_at"]), _answer(row)) for row in rows}
    known = {run.id: run for run in under_way(restate, trip_id)} | called
    return sorted(known.values(), key=lambda run: (run.created, run.id))


def calls_of(restate: Restate, trip_id: str) -> list[Call]:
    """All calls and sends by the runs of a trip, including compensations and notices."""
    rows = restate.query(
        "SELECT i.id, i.invoked_by_id, i.target, i.created_at, i.status, i.completion_result, j.entry_json AS input "
        "FROM sys_invocation i LEFT JOIN sys_journal j ON j.id = i.id AND j.index = 0 "
        f"WHERE i.invoked_by_id IN ({_callers(trip_id)}) ORDER BY i.created_at"
    )
    return [
        Call(
            row["id"],
            row["invoked_by_id"],
            row["target"],
            datetime.fromisoformat(row["created_at"]),
            row["completion_result"] if row["status"] == "completed" else row["status"],
            message_of(row),
        )
        for row in rows
    ]


def under_way(restate: Restate, trip_id: str) -> list[Run]:
    """The runs that are booking this trip or waiting to begin, oldest first."""
    rows = restate.query(f"{UNFINISHED_WITH_TRIP} WHERE u.target = 'trips/reserve' ORDER BY u.since")
    return [
        Run(row["id"], datetime.fromisoformat(row["since"]), _not_ended(row["status"]))
        for row in rows
        if trip_of(row) == trip_id
    ]


def trip_of(row: Row) -> str:
    """The id of the trip that an invocation is for.

    "unknown" until a trip's id has been generated, or if the caller sent something that is no id.
    """
    if row.get("trip"):
        return row["trip"]
    message = message_of(row)
    try:
        found = message.get("trip_id") or message["request"]["trip_id"]
    except (KeyError, TypeError):
        return UNKNOWN
    return found if found and isinstance(found, str) else UNKNOWN


def message_of(row: Row) -> dict[str, Any]:
    """The JSON object that an invocation got, from its row's `input`; empty if it got none."""
    try:
        message = json.loads(bytes(json.loads(row["input"])["Command"]["Input"]["payload"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], message) if isinstance(message, dict) else {}


def show(runs: Sequence[Run], console: Console) -> None:
    """Print the numbered runs: invocation, begin and answer."""
    shown = table("run", "began (UTC)", "invocation")
    shown.add_column("answer", overflow="fold")
    for number, run in enumerate(runs, 1):
        shown.add_row(str(number), f"{run.created:%H:%M:%S.%f}"[:-3], run.id, Text(run.answer))
    console.print(shown)


def _callers(trip_id: str) -> str:
    key = trip_id.replace("'", "''")
    return f"SELECT invoked_by_id FROM sys_invocation WHERE target_service_key = '{key}'"


def _answer(row: Row) -> str:
    if row["status"] != "completed":
        return _not_ended(row["status"])
    return "[200] booked" if row["completion_result"] == "success" else row["completion_failure"]


def _not_ended(status: str) -> str:
    return "not begun (scheduled)" if status == "scheduled" else f"under way ({status})"
