"""`make trip`: one trip followed through the logs of all functions, run by run.

A trip id can be requested again: a duplicate, another try, a key that is used again. Only Restate knows which run a
step belongs to; the logs have the order of events.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from demo import reservations
from demo.cloud import HolidayCloud
from demo.reservations import Call, Run
from demo.restate import Restate
from localcloud.environment import LocalCloudError
from localcloud.logs import Line, ask, pattern_of, query
from localcloud.terminal import table

OF_THE_DEMO = "demo-[0-9a-f]+-success"
ENDS = ("done", "refused")


def follow(cloud: HolidayCloud, trip_id: str | None, console: Console) -> None:
    """Print what the functions logged about a trip, by default the last demo's successful one.

    Raises:
        LocalCloudError: the cloud is down, there was no demo, or no function has logged anything about the trip.
    """
    trip_id = trip_id or last_of_the_demo(cloud)
    text = query_for(pattern_of(trip_id))
    lines = logged(cloud, text)
    restate = Restate(cloud.admin_url)
    known = reservations.runs_of(restate, trip_id)
    if not lines and known:
        console.print(f"No function has logged anything about trip {trip_id!r} yet.\n", markup=False, soft_wrap=True)
        reservations.show(known, console)
        return
    if not lines:
        raise LocalCloudError(
            f"No function has logged anything about trip {trip_id!r}: the id is in the answer of trips/reserve and in "
            "the notice, and a local cloud knows only the trips since its last start."
        )
    calls = {call.id: call for call in reservations.calls_of(restate, trip_id)}
    numbers, found = by_run(lines, calls)
    show(lines, numbers, console)
    console.print()
    reservations.show(answered(found, known), console)
    console.print(f"\n{text}\n", markup=False, soft_wrap=True, style="dim")


def query_for(pattern: str) -> str:
    """The query for the lines of every trip whose id, as logged, matches this regular expression."""
    return query("trip_id", pattern)


def logged(cloud: HolidayCloud, text: str) -> list[Line]:
    """Every log line about trips that the query finds in the log groups of all functions, in order of time."""
    versions = cloud.versions()
    if not versions:
        raise LocalCloudError("The stack is not deployed: deploy it with `make up`.")
    return [line for line in ask(cloud, versions.values(), text) if "trip_id" in line]


def last_of_the_demo(cloud: HolidayCloud) -> str:
    """The id of the trip that succeeded in the last demo of this cloud."""
    lines = logged(cloud, query_for(OF_THE_DEMO))
    if not lines:
        raise LocalCloudError("No demo has run in this cloud: name a trip, `make trip ID=…`, or run `make demo`.")
    return lines[-1]["trip_id"]


def by_run(lines: Sequence[Line], calls: Mapping[str, Call]) -> tuple[list[int | None], list[Run]]:
    """The number of the run that each line belongs to, and the runs in the order in which they began.

    A key that is used again runs under the same invocation id: what `trips.reserve` logs after its end is another run.
    A line has no run if Restate no longer knows its handler's caller.
    """
    found: list[Run] = []
    last: dict[str, int] = {}
    numbers: list[int | None] = []
    for line in lines:
        own, at = line["invocation_id"], datetime.fromisoformat(line["timestamp"])
        if (line["service"], line["handler"]) == ("trips", "reserve"):
            is_end = line["message"] in ENDS
            if own not in last or (found[last[own]].answer and not is_end):
                last[own] = len(found)
                found.append(Run(own, at, ""))
            if is_end:
                found[last[own]] = Run(own, found[last[own]].created, said(line))
            numbers.append(last[own] + 1)
        else:
            numbers.append(_caller(calls.get(own), found))
    return numbers, found


def _caller(call: Call | None, found: Sequence[Run]) -> int | None:
    begun = [number for number, run in enumerate(found, 1) if call and run.id == call.run]
    before = [number for number in begun if call and found[number - 1].created <= call.created]
    return (before or begun or [None])[-1]


def answered(found: Sequence[Run], known: Sequence[Run]) -> list[Run]:
    """The runs, each with the answer that Restate gave. It knows only the last of those under one invocation id."""
    answers = {run.id: run.answer for run in known}
    last = {run.id: number for number, run in enumerate(found)}
    return [
        Run(run.id, run.created, answers[run.id] if last[run.id] == number and run.id in answers else run.answer)
        for number, run in enumerate(found)
    ]


def show(lines: Sequence[Line], numbers: Sequence[int | None], console: Console) -> None:
    """Print the lines as a table, with the milliseconds since the first."""
    shown = table("time (UTC)")
    shown.add_column("ms", justify="right", no_wrap=True)
    shown.add_column("run", no_wrap=True)
    shown.add_column("handler", no_wrap=True)
    shown.add_column("what it logged")
    begin = datetime.fromisoformat(lines[0]["timestamp"])
    for line, number in zip(lines, numbers, strict=True):
        at = datetime.fromisoformat(line["timestamp"])
        milliseconds = (at - begin).total_seconds() * 1000
        colour = {"done": "green", "refused": "yellow", "failed": "red"}.get(line["message"], "")
        handler = f"{line['service']}.{line['handler']}"
        shown.add_row(
            f"{at:%H:%M:%S.%f}"[:-3], f"{milliseconds:.0f}", str(number or "?"), handler, Text(said(line), style=colour)
        )
    console.print(shown)


def said(line: Line) -> str:
    return f"{line['message']}: {line['reason']}" if "reason" in line else line["message"]
