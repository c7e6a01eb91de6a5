"""`make stuck`: what the monitor counts, one by one, with why it is stuck and what docs/operations.md says to do.

The advice stands in that page alone, in its two tables; this reads it there. A key for another Restate comes from the
terminal, is sent to the URL that was named and nowhere else, and is in no argument, variable or message.
"""

import argparse
import json
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
LARGEST_READ = 100_000
"""Bytes of a request in which the trip's id is looked for. `trips` itself refuses what is over 64 KB."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
CALLED = "json_get_str(entry_lite_json, 'Command', 'Call', 'invocation_target', 'VirtualObject', 'key')"

Row = dict[str, Any]


def query(minutes: float) -> str:
    """The SQL that lists what has been stuck for longer than this, the oldest first.

    `trip` is the key of the invocation or, if it has none, of what it called first; `input` is where its trip stands
    if it has called nothing.
    """
    return (
        "SELECT u.id, u.target, u.status, u.failures, u.failure, i.restarted_from, j.raw_length, "
        "coalesce(i.target_service_key, c.key) AS trip, "
        f"CASE WHEN coalesce(i.target_service_key, c.key) IS NULL AND j.raw_length < {LARGEST_READ} "
        "THEN j.entry_json END AS input, "
        "to_unixtime(now()) - to_unixtime(u.stuck_since) AS seconds "
        f"FROM ({UNFINISHED}) u JOIN sys_invocation i ON i.id = u.id "
        "LEFT JOIN sys_journal j ON j.id = u.id AND j.index = 0 "
        f"LEFT JOIN (SELECT id, first_value({CALLED} ORDER BY index) AS key FROM sys_journal "
        "WHERE entry_type = 'Command: Call' GROUP BY id) c ON c.id = u.id "
        f"WHERE u.stuck_since <= now() - INTERVAL '{minutes * 60:.0f} seconds' ORDER BY u.stuck_since, u.id"
    )


def refuse_unsafe(url: str, key: str | None) -> None:
    """Raise LocalCloudError for what is no URL or no key, and where a key could be read on its way."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise LocalCloudError(f"{url!r} is not a URL such as https://restate.example.com:9070.") from None
    if "@" in parts.netloc:
        raise LocalCloudError("The URL holds a user name or a password: leave them out. The key is asked for next.")
    if key and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise LocalCloudError(f"{url} is plain HTTP, over which a key can be read: name an https URL.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise LocalCloudError("The key holds spaces or characters that are in no key: paste it again.")


def ask(url: str, key: str | None, sql: str) -> list[Row]:
    """Ask a Restate. Raises LocalCloudError, whose one sentence never holds the key."""
    refuse_unsafe(url, key)
    is_local = urlsplit(url).hostname in LOOPBACK
    headers = {"accept": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/query", json={"query": sql}, headers=headers, timeout=60, trust_env=not is_local
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LocalCloudError(f"{url} cannot be reached ({type(error).__name__}): is the URL right?") from None
    if answer.status_code in (401, 403):
        what = "rejected the API key" if key else "requires an API key"
        raise LocalCloudError(f"{url} {what} ({answer.status_code}): use one with the role Admin.")
    try:
        return answer.raise_for_status().json()["rows"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        status = answer.status_code
        raise LocalCloudError(f"{url} answered {status}: is it Restate's admin API, usually at port 9070?") from None


def trip_of(row: Row) -> str:
    """The trip that an invocation is for. One that has not made up its trip's id yet has none."""
    if row.get("trip"):
        return row["trip"]
    try:
        body = json.loads(bytes(json.loads(row["input"])["Command"]["Input"]["payload"]))
        return body.get("trip_id") or body["request"]["trip_id"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return "unknown"


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
    for heading in ("trip", "invocation", "stuck for", "status", "why", "what to do"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        seconds = int(row["seconds"])
        since = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        why = row.get("failure") or "no attempt has failed"
        texts = (trip_of(row), f"{row['target']}\n{row['id']}", since, row["status"], why, advice(row, page))
        table.add_row(*map(Text, texts))
    console.print(table)
    console.print(f"{len(rows)} stuck. docs/operations.md, {SECTION}, has the commands.", highlight=False)


def typed() -> tuple[str, str | None]:
    """A URL and an API key from the terminal. Raises LocalCloudError where a key could be seen, or is not typed."""
    if not sys.stdin.isatty():
        raise LocalCloudError("--elsewhere reads a URL and an API key from a terminal, and this input is none.")
    url = input("Admin API, such as https://….env.eu.restate.cloud:9070: ").strip()
    return url, getpass("API key, which is not shown (Enter: none): ").strip() or None


def main() -> int:
    accept_any_encoding()
    parser = argparse.ArgumentParser(
        prog="python -m demo.stuck", description="Invocations that get no further, and why."
    )
    parser.add_argument(
        "--elsewhere", action="store_true", help="ask for another Restate's URL and API key; default: the local cloud's"
    )
    parser.add_argument("--minutes", type=float, default=0, help="stuck for how long; default 0, the monitor takes 5")
    arguments = parser.parse_args()
    if not 0 <= arguments.minutes < 1_000_000:
        parser.error("--minutes must be 0 or more.")
    console = Console(highlight=False)
    try:
        url, key = LocalCloud.default().admin_url, None
        if arguments.elsewhere:
            url, key = typed()
        rows = ask(url, key, query(arguments.minutes))
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
