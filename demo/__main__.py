"""`python -m demo`: the commands behind `make up`, `demo`, `trip`, `rows`, `cancel`, `serve` and `synth`."""

import argparse
import os
import sys
import time
from collections.abc import Callable

from demo import cancel, demo, rows, serve, synth, trip
from demo.cloud import HolidayCloud
from demo.restate import Restate, typed
from dependencies.output import accept_any_encoding
from localcloud import terminal
from localcloud.terminal import console, say


def up(cloud: HolidayCloud) -> None:
    """Start the local cloud if it is not running, deploy the holiday's stack into it, and say where everything is."""
    _deploy(cloud)
    demo.show_what_next(cloud, console)


def show_demo(cloud: HolidayCloud) -> None:
    """Start and deploy, then book a trip of each run type and show the results."""
    _deploy(cloud)
    if not demo.run(cloud, console):
        raise SystemExit(1)
    if begun := os.environ.get("MAKE_BEGAN"):
        say(f"\nFrom `make demo` to here: {time.time() - float(begun):.0f} s")


def show_trip(cloud: HolidayCloud, trip_id: str | None) -> None:
    """Follow one trip through the logs of all functions. Default: the last demo's successful trip."""
    trip.follow(cloud, trip_id, console)


def show_rows(cloud: HolidayCloud, trip_id: str | None) -> None:
    """Show one trip's rows, notices and runs. Default: the last demo's successful trip."""
    rows.show(cloud, trip_id or trip.last_of_the_demo(cloud), console)


def cancel_trip(cloud: HolidayCloud, trip_id: str, elsewhere: bool) -> None:
    """Cancel a running trip by its id. What it has booked is compensated."""
    cancel.cancel(typed() if elsewhere else Restate(cloud.admin_url), trip_id, say)


def serve_here(cloud: HolidayCloud, debug: bool) -> None:
    """Serve all services from this checkout on :9080, with reload, as Restate's latest deployment."""
    if not (cloud.is_running() and cloud.outputs()):
        _deploy(cloud)
    serve.run(cloud, say, debugger_port=serve.DEBUGGER_PORT if debug else None)


def show_synth(cloud: HolidayCloud) -> None:
    """Synthesize the stack for every environment and for a self-hosted server, without credentials."""
    with terminal.step("Synthesizing the stack for every environment") as note:
        templates = synth.synthesize(cloud, note)
    for shape, template in templates.items():
        say(f"{shape}: {template}")


COMMANDS: dict[str, Callable[..., None]] = {
    "up": up,
    "demo": show_demo,
    "trip": show_trip,
    "rows": show_rows,
    "cancel": cancel_trip,
    "serve": serve_here,
    "synth": show_synth,
}


def main(cloud: HolidayCloud | None = None) -> int:
    """Run the command line's one command on this cloud, by default that of `make up`; returns the exit status."""
    accept_any_encoding()
    description = "The holiday on the local cloud."
    return terminal.main("python -m demo", description, COMMANDS, cloud or HolidayCloud.default(), _add_options)


def _add_options(parser: argparse.ArgumentParser, command: str) -> None:
    if command in ("trip", "rows"):
        parser.add_argument("trip_id", nargs="?", help="default: the last demo's successful trip")
    if command == "cancel":
        where = "ask for another Restate's URL and API key; default: the local cloud's"
        parser.add_argument("--elsewhere", action="store_true", help=where)
        parser.add_argument("trip_id", help="the id that the trip was reserved under")
    if command == "serve":
        parser.add_argument("--debug", action="store_true", help=f"accept a debugger on port {serve.DEBUGGER_PORT}")


def _deploy(cloud: HolidayCloud) -> None:
    def deploy() -> None:
        cloud.deploy()
        serve.clear_stale(cloud, say)

    terminal.up(cloud, deploy, down="make down")


if __name__ == "__main__":
    sys.exit(main())
