"""One trip followed through all four functions, with one query of CloudWatch Logs Insights over their log groups.

The query keeps to what AWS documents, and has not run there. The emulator knows a part of that language, in which a
filter may look for a pattern in `@message` but not compare a field of the JSON in it.
"""

import json
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError

FUNCTIONS = ("TripsVersionArn", "FlightsVersionArn", "CarsVersionArn", "PaymentsVersionArn")
OF_THE_DEMO = "demo-[0-9a-f]+-success"
QUERY_TIMEOUT = 30.0

Line = dict[str, str]


def follow(cloud: LocalCloud, trip_id: str | None, console: Console) -> None:
    """Print what the functions logged about a trip, by default the last demo's successful one.

    Raises LocalCloudError if nothing runs, if there was no demo, or if no function has logged anything about the trip.
    """
    trip_id = trip_id or last_of_the_demo(cloud)
    text = query(pattern_of(trip_id))
    lines = sorted(ask(cloud, text), key=lambda line: line["timestamp"])
    if not lines:
        raise LocalCloudError(
            f"No function has logged anything about trip {trip_id!r}: the id is in the answer of trips/reserve and in "
            "the notice, and a local cloud knows only the trips since its last start."
        )
    show(lines, console)
    console.print(f"\n{text}\n", markup=False, soft_wrap=True, style="dim")


def query(pattern: str) -> str:
    """The query for the lines of every trip whose id, as it is logged, matches this regular expression."""
    return f'fields @timestamp, @message | filter @message like /"trip_id": *"{pattern}"/ | sort @timestamp asc'


def pattern_of(trip_id: str) -> str:
    """The regular expression for a trip id as it stands between the quotes of a JSON line."""
    return re.sub(r"[][\\^$.|?*+(){}/]", r"\\\g<0>", json.dumps(trip_id)[1:-1])


def ask(cloud: LocalCloud, text: str) -> list[Line]:
    """Every log line that the query finds, over the log groups of the four functions."""
    outputs, functions, logs = cloud.outputs(), cloud.client("lambda"), cloud.client("logs")
    if not outputs:
        raise LocalCloudError("The stack is not deployed: deploy it with `make up`.")
    found = [functions.get_function_configuration(FunctionName=outputs[name]) for name in FUNCTIONS]
    groups = [function["LoggingConfig"].get("LogGroup", "") for function in found]
    now = int(time.time())
    begun = logs.start_query(logGroupNames=groups, startTime=0, endTime=now + 60, queryString=text, limit=10000)
    deadline = time.monotonic() + QUERY_TIMEOUT
    while (answer := logs.get_query_results(queryId=begun["queryId"]))["status"] in ("Scheduled", "Running"):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"The query did not end within {QUERY_TIMEOUT:.0f} s.")
        time.sleep(0.1)
    messages = [cell.get("value", "") for row in answer["results"] for cell in row if cell.get("field") == "@message"]
    return [cast(Line, json.loads(line)) for message in messages for line in message.splitlines() if _is_ours(line)]


def last_of_the_demo(cloud: LocalCloud) -> str:
    """The id of the trip that succeeded in the last demo of this cloud."""
    lines = ask(cloud, query(OF_THE_DEMO))
    if not lines:
        raise LocalCloudError("There was no demo in this cloud: name a trip, `make trip ID=…`, or run `make demo`.")
    return max(lines, key=lambda line: line["timestamp"])["trip_id"]


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


def _is_ours(line: str) -> bool:
    try:
        parsed: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(parsed, dict) and "trip_id" in parsed
