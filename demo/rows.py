"""`make rows`: one trip's rows in the tables, and its notices.

The tables are those in the outputs of the stack. A notice is shown as Restate sent it, and "published" once SNS has
accepted it.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from demo import reservations
from demo.booking import every_row_of
from demo.cloud import HolidayCloud
from demo.contract import NEVER, NOTHING, Row, word
from demo.reservations import Call
from demo.restate import Restate
from localcloud.environment import LocalCloudError
from localcloud.terminal import table

NOTIFY = "trips/notify"
KEYS = ("pk", "sk", "trip_id", "id", "transaction_status")
COLOURS = {"confirmed": "green", "success": "green", "pending": "red", NEVER: "dim", NOTHING: "dim"}
"""Of a booking's status and of a notice's. Any other is a service's own word for compensated."""


def show(cloud: HolidayCloud, trip_id: str, console: Console) -> None:
    """Print a trip's rows, its notices and its runs.

    Raises:
        LocalCloudError: neither the tables nor Restate know the trip.
    """
    restate = Restate(cloud.admin_url)
    rows = every_row_of(cloud, trip_id)
    calls, known = reservations.calls_of(restate, trip_id), reservations.runs_of(restate, trip_id)
    if not known and not any(rows.values()):
        raise LocalCloudError(
            f"Trip {trip_id!r} not found: no table has a row of it, and Restate has no run. The id is in the "
            "answer of trips/reserve; a local cloud knows only the trips since its last start."
        )
    numbers = {run.id: str(number) for number, run in enumerate(known, 1)}
    run_of = {call.message.get("id"): numbers.get(call.run, "?") for call in calls}
    _show_rows([(kind, row, run_of.get(row["sk"], "?")) for kind, found in rows.items() for row in found], console)
    show_notices([(call, numbers.get(call.run, "?")) for call in calls if call.target == NOTIFY], console)
    reservations.show(known, console)


def _show_rows(rows: Sequence[tuple[str, Row, str]], console: Console) -> None:
    shown = table("booking", "status", "run", "booking id")
    shown.add_column("what was booked", overflow="fold")
    for kind, row, run in sorted(rows, key=lambda row: (len(row[2]), row[2])):
        what = ", ".join(f"{name} {value}" for name, value in row.items() if name not in KEYS)
        shown.add_row(kind, coloured(word(row)), run, row["sk"], what)
    console.print(shown if rows else "No row: nothing has been reserved.")


def show_notices(notices: Sequence[tuple[Call, str]], console: Console) -> None:
    """Print the notices, each with the number of its run."""
    shown = table("notice", "run", "sent")
    shown.add_column("what it says", overflow="fold")
    for call, run in notices:
        sent = "published" if call.status == "success" else f"not yet ({call.status})"
        what = call.message.get("message", "")
        shown.add_row(coloured(call.message.get("status", "?")), run, sent, Text(what))
    console.print()
    console.print(shown if notices else "No notice: none was sent, or Restate no longer keeps it.")
    console.print()


def coloured(word: str) -> Text:
    """The status of a booking or of a notice, coloured."""
    return Text(word, style=COLOURS.get(word, "yellow"))
