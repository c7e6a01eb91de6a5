"""`make stuck`: each invocation that the monitor counts, why it is stuck, and what docs/stuck.md says to do.

The advice is read from that page: a section for each kind, and the table of statuses.
"""

import argparse
import re
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.reservations import UNFINISHED_WITH_TRIP, trip_of
from demo.restate import Restate, Row, typed
from dependencies.output import accept_any_encoding
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError

PAGE = ROOT / "docs" / "stuck.md"
SECTION, STATUSES = "An invocation that never ends", "Find, pause, resume or cancel a trip"
LARGEST = 4_700_000
"""Bytes of the largest request that Lambda accepts, as in the page."""
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What would move the cursor or change colors: a request that has not begun, and so was not checked, may contain it."""


def query(minutes: float) -> str:
    """The SQL that lists what has been stuck for longer than this, oldest first."""
    since = f"u.stuck_since <= now() - INTERVAL '{minutes * 60:.0f} seconds'"
    return f"{UNFINISHED_WITH_TRIP} WHERE {since} ORDER BY u.stuck_since, u.id"


def kind_of(row: Row) -> str | None:
    """The heading of this invocation's kind in the page, or None."""
    failure = row.get("failure") or ""
    if (row.get("raw_length") or 0) > LARGEST:
        return "It is too large"
    if "[570]" in failure:
        return "A mismatch after a restart" if row.get("restarted_from") else "A mismatch with changed code"
    if "has a deployment id asso" in failure:
        return "Its deployment is not found"
    return "A table is not found" if "ResourceNotFoundException" in failure else None


def kinds(page: str) -> dict[str, str]:
    """What to do about each kind, from the page."""
    kind = r"^### (.+)\n(?:(?!###).*\n)*?\*\*What to do:\*\* ((?:.+\n)+)"
    found = re.findall(kind, section(page, SECTION), re.MULTILINE)
    return {kind: " ".join(advice.split()) for kind, advice in found}


def statuses(page: str) -> dict[str, str]:
    """What an invocation of each status waits for, from the page's table."""
    return dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section(page, STATUSES), re.MULTILINE))


def section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def advice(row: Row, page: str) -> str:
    """What to do about one invocation, in the page's words, without its links."""
    kind = kind_of(row)
    said = kinds(page)[kind] if kind and row["status"] != "paused" else f"It waits for {statuses(page)[row['status']]}."
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", said)


def show(rows: Sequence[Row], page: str, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("trip", "invocation", "stuck for", "status", "why", "what to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        seconds = int(row["seconds"])
        since = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        why = row.get("failure") or "no attempt has failed"
        texts = (trip_of(row), f"{row['target']}\n{row['id']}", since, row["status"], why, advice(row, page))
        table.add_row(*(Text(CONTROLS.sub(_escaped, text)) for text in texts))
    console.print(table)
    console.print(f"{len(rows)} stuck. docs/stuck.md, {SECTION}, has the commands.", highlight=False)


def _escaped(control: re.Match[str]) -> str:
    return repr(control[0])[1:-1]


def main() -> int:
    accept_any_encoding()
    parser = argparse.ArgumentParser(
        prog="python -m demo.stuck", description="List stuck invocations, and why they are stuck."
    )
    parser.add_argument(
        "--elsewhere", action="store_true", help="ask for another Restate's URL and API key; default: the local cloud's"
    )
    parser.add_argument(
        "--minutes", type=float, default=0, help="minimum minutes stuck; default 0 (the monitor's is 5)"
    )
    arguments = parser.parse_args()
    if not 0 <= arguments.minutes < 1_000_000:
        parser.error("--minutes must be 0 or more.")
    console = Console(highlight=False)
    try:
        restate = typed() if arguments.elsewhere else Restate(LocalCloud.default().admin_url)
        rows = restate.query(query(arguments.minutes))
    except LocalCloudError as error:
        print(f"✗ {error}", file=sys.stderr)
        if not arguments.elsewhere:
            print("`make up` starts the local cloud.", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)  # behind the ^C
        return 130
    if rows:
        show(rows, PAGE.read_text(), console)
    else:
        console.print("Nothing is stuck.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
