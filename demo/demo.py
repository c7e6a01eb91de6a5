"""`make demo`: one trip that succeeds and one for each simulated failure, with what each leaves in one table."""

import uuid
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from demo.booking import book, inbox, run_types, settle
from demo.cloud import HolidayCloud
from demo.contract import Trip, complaint, word
from demo.rows import coloured
from demo.trip import follow
from localcloud.environment import KEY, REGION
from localcloud.terminal import table


def run(cloud: HolidayCloud, console: Console) -> bool:
    """Book a trip of each run type, show what they leave, and return whether all is as the contract says."""
    heard = inbox(cloud)
    token = uuid.uuid4().hex[:6]
    types, trips = run_types(cloud), list[Trip]()
    with cloud.step(f"Booking {len(types)} trips") as note:
        for run_type in types:
            note(run_type)
            trips.append(book(cloud, f"demo-{token}-{run_type}", run_type))
    with cloud.step("Waiting for the compensations and the notices") as note:
        settle(cloud, heard, trips)
    console.print("\nThe first trip in the logs of all functions, from one query:\n")
    follow(cloud, trips[0].trip_id, console)
    show(trips, console)
    complaints = {trip.trip_id: trouble for trip in trips if (trouble := complaint(trip))}
    for trip_id, trouble in complaints.items():
        console.print(f"✗ {trip_id}: {trouble}", style="red", markup=False, highlight=False, soft_wrap=True)
    show_what_next(cloud, console, trips[-1].trip_id)
    return not complaints


def show(trips: Sequence[Trip], console: Console) -> None:
    """Print the one table."""
    kinds = list(trips[0].rows)
    shown = table("run type", "HTTP", *kinds, "notice", gap=2 if console.width >= 94 else 0)
    shown.add_column("time", justify="right", no_wrap=True)
    for trip in trips:
        words = [word(trip.rows.get(kind)) for kind in kinds]
        notices = ", ".join(trip.notices) or "—"
        cells = [coloured(cell) for cell in (*words, notices)]
        mark = Text("✗ ", style="red") if complaint(trip) else Text("")
        name = mark + Text(trip.run_type)
        http = Text(str(trip.status), style="green" if trip.status == 200 else "yellow")
        shown.add_row(name, http, *cells, f"{trip.seconds:.2f}s")
    console.print()
    console.print(shown)
    console.print("\nnever taken: compensated before it was booked; —: the trip did not get that far\n", style="dim")


def show_what_next(cloud: HolidayCloud, console: Console, trip_id: str | None = None) -> None:
    """Print where everything is, and commands to paste. `trip_id`: a trip to look at."""
    url = f"{cloud.ingress_url}/trips/reserve"
    lines = [
        f"Ingress       {cloud.ingress_url}",
        f"Restate's UI  {cloud.admin_url}/ui/",
        f"AWS           {cloud.aws_url}, region {REGION}, access key {KEY}, secret key {KEY}",
        f"Tables        {', '.join(cloud.tables().values())}",
        "",
        "Try it:",
        f"  curl {url} --json '{{}}'",
        f"""  curl {url} --json '{{"request": {{"run_type": "failPayment"}}}}'""",
        f"""  curl {url} --json '{{"request": {{"depart_city": "Oslo", "rental": "Volvo"}}}}'""",
        *([f"  make trip ID={trip_id}", f"  make rows ID={trip_id}"] if trip_id else []),
        f"  {aws_cli(cloud)} dynamodb scan --table-name {next(iter(cloud.tables().values()))} --output table",
        "",
        "Stop it:",
        "  make down",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def aws_cli(cloud: HolidayCloud) -> str:
    """The start of an AWS CLI command for this cloud, whatever the caller's own settings are."""
    keys = f"AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={KEY}"
    return f"{keys} aws --endpoint-url {cloud.aws_url} --region {REGION}"
