"""`make stuck`: what the monitor counts, one by one, with why it is stuck and what docs/operations.md says to do.

The advice stands in that page alone, in its two tables; this reads it there. A key for another Restate comes from the
terminal, is sent to the URL that was named and nowhere else, and is in no argument, variable or message.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from getpass import getpass
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dependencies.output import accept_any_encoding
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError
from localcloud.invocations import UNFINISHED

PAGE = ROOT / "docs" / "operations.md"
SECTION, STATUSES = "An invocation that never ends", "Find, pause, resume, cancel a trip"
LARGEST = 4_700_000
"""Bytes of a request that Lambda takes, as the page says."""

Row = dict[str, Any]


def query(minutes: float) -> str:
    """The SQL that lists what has been stuck for longer than this, the oldest first."""
    return (
        "SELECT u.id, u.target, u.status, u.failures, u.failure, i.restarted_from, j.raw_length, "
        "to_unixtime(now()) - to_unixtime(u.stuck_since) AS seconds "
        f"FROM ({UNFINISHED}) u JOIN sys_invocation i ON i.id = u.id "
        "LEFT JOIN sys_journal j ON j.id = u.id AND j.index = 0 "
        f"WHERE u.stuck_since <= now() - INTERVAL '{minutes * 60:.0f} seconds' ORDER BY u.stuck_since, u.id"
    )


def ask(url: str, key: str | None, sql: str) -> list[Row]:
    """Ask a Restate. Raises LocalCloudError, whose one sentence never holds the key."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LocalCloudError(f"{url!r} is not a URL such as https://restate.example.com:9070.")
    if key and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise LocalCloudError(f"{url} is plain HTTP, over which a key can be read: name an https URL.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise LocalCloudError("The key holds spaces or characters that are in no key: paste it again.")
    headers = {"accept": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    is_local = parts.hostname == "127.0.0.1"
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/query", json={"query": sql}, headers=headers, timeout=60, trust_env=not is_local
        )
    except httpx.HTTPError as error:
        raise LocalCloudError(f"{url} cannot be reached ({type(error).__name__}): is the URL right?") from None
    if answer.status_code in (401, 403):
        raise LocalCloudError(f"{url} wants another key ({answer.status_code}): take one with the Admin role.")
    try:
        return answer.raise_for_status().json()["rows"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        status = answer.status_code
        raise LocalCloudError(f"{url} answered {status}: is it Restate's admin API, usually at port 9070?") from None


def sort_of(row: Row) -> str | None:
    """What begins the row of the page's table of sorts that this invocation belongs to. None if it has none."""
    failure = row.get("failure") or ""
    if (row.get("raw_length") or 0) > LARGEST:
        return "It is too large"
    if "[570]" in failure:
        return "A mismatch, and `restarted_from` is set" if row.get("restarted_from") else "A mismatch otherwise"
    if "has a deployment id asso" in failure:
        return "Its deployment is not found"
    return "A table is not found" if "ResourceNotFoundException" in failure else None


def sorts(page: str) -> dict[str, str]:
    """What to do about each sort, from the page's table."""
    return dict(re.findall(r"^\| \*\*(.+?)\*\*.*? \| (.+?) \| .+ \|$", section(page, SECTION), re.MULTILINE))


def statuses(page: str) -> dict[str, str]:
    """What an invocation of each status waits for, from the page's other table."""
    return dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section(page, STATUSES), re.MULTILINE))


def section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def advice(row: Row, page: str) -> str:
    """What to do about one invocation, in the page's words, without its links."""
    sort = sort_of(row)
    said = sorts(page)[sort] if sort and row["status"] != "paused" else f"It waits for {statuses(page)[row['status']]}."
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", said)


def show(rows: Sequence[Row], page: str, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("invocation", "since", "status", "why", "what to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        seconds = int(row["seconds"])
        since = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        why = row.get("failure") or "no attempt has failed"
        texts = (f"{row['target']}\n{row['id']}", since, row["status"], why, advice(row, page))
        table.add_row(*map(Text, texts))
    console.print(table)
    console.print(f"{len(rows)} stuck. docs/operations.md, {SECTION}, has the commands.", highlight=False)


def main() -> int:
    accept_any_encoding()
    parser = argparse.ArgumentParser(
        prog="python -m demo.stuck", description="Invocations that get no further, and why."
    )
    parser.add_argument(
        "--elsewhere", action="store_true", help="ask for another Restate's URL and key; default: the local cloud's"
    )
    parser.add_argument("--minutes", type=float, default=0, help="stuck for how long; default 0, the monitor takes 5")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    try:
        url, key = LocalCloud.default().admin_url, None
        if arguments.elsewhere:
            url = input("Admin API, such as https://….env.eu.restate.cloud:9070: ").strip()
            key = getpass("Key, which is not shown (Enter: none): ").strip() or None
        rows = ask(url, key, query(arguments.minutes))
    except LocalCloudError as error:
        print(f"✗ {error}", file=sys.stderr)
        if not arguments.elsewhere:
            print("`make up` starts the local cloud.", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        return 130
    if rows:
        show(rows, PAGE.read_text(), console)
    else:
        console.print("Nothing is stuck.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
