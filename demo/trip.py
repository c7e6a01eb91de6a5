"""`make trip`: one trip followed through the logs of all functions."""

from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.cloud import HolidayCloud
from localcloud.environment import LocalCloudError
from localcloud.logs import Line, ask, pattern_of, query

OF_THE_DEMO = "demo-[0-9a-f]+-success"


def follow(cloud: HolidayCloud, trip_id: str | None, console: Console) -> None:
    """Print what the functions logged about a trip, by default the last demo's successful one.

    Raises LocalCloudError if nothing runs, if there was no demo, or if no function has logged anything about the trip.
    """
    trip_id = trip_id or last_of_the_demo(cloud)
    text = query_for(pattern_of(trip_id))
    lines = logged(cloud, text)
    if not lines:
        raise LocalCloudError(
            f"No function has logged anything about trip {trip_id!r}: the id is in the answer of trips/reserve and in "
            "the notice, and a local cloud knows only the trips since its last start."
        )
    show(lines, console)
    console.print(f"\n{text}\n", markup=False, soft_wrap=True, style="dim")


def query_for(pattern: str) -> str:
    """The query for the lines of every trip whose id, as it is logged, matches this regular expression."""
    return query("trip_id", pattern)


def logged(cloud: HolidayCloud, text: str) -> list[Line]:
    """Every log line about trips that the query finds, in order of time, over the log groups of all functions."""
    versions = cloud.versions()
    if not versions:
        raise LocalCloudError("The stack is not deployed: deploy it with `make up`.")
    return [line for line in ask(cloud, versions.values(), text) if "trip_id" in line]


def last_of_the_demo(cloud: HolidayCloud) -> str:
    """The id of the trip that succeeded in the last demo of this cloud."""
    lines = logged(cloud, query_for(OF_THE_DEMO))
    if not lines:
        raise LocalCloudError("There was no demo in this cloud: name a trip, `make trip ID=…`, or run `make demo`.")
    return lines[-1]["trip_id"]


def show(lines: Sequence[Line], console: Console) -> None:
    """Print the lines as a table, with the milliseconds since the first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("handler", no_wrap=True)
    table.add_column("what it logged")
    begin = datetime.fromisoformat(lines[0]["timestamp"])
    for line in lines:
        at = datetime.fromisoformat(line["timestamp"])
        milliseconds = (at - begin).total_seconds() * 1000
        colour = {"done": "green", "refused": "yellow", "failed": "red"}.get(line["message"], "")
        said = f"{line['message']}: {line['reason']}" if "reason" in line else line["message"]
        handler = f"{line['service']}.{line['handler']}"
        table.add_row(f"{at:%H:%M:%S.%f}"[:-3], f"{milliseconds:.0f}", handler, Text(said, style=colour))
    console.print(table)
