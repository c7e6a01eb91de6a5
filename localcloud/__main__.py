"""`python -m localcloud`: the commands behind `make up`, `down`, `demo`, `trip`, `serve` and `synth`.

Every failure that a person can act on ends here as one sentence, and every interruption, Ctrl-C or a signal, ends what
this run started and nothing else.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import httpx
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dependencies.output import accept_any_encoding
from localcloud import demo, serve, trip
from localcloud.cloud import LocalCloud
from localcloud.deploy import Note, synthesize
from localcloud.environment import LocalCloudError
from localcloud.processes import INTERRUPTIONS

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 120


@contextmanager
def step(title: str) -> Generator[Note]:
    """Show what is being done: live with the seconds on a terminal, a line before and after elsewhere."""
    begin = time.monotonic()
    if console.is_terminal:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[at]}"),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(title, total=None, at="")
            yield lambda at: progress.update(task, at=at[: max(0, console.width - len(title) - 16)])
    else:
        say(f"… {title}")
        yield lambda _: None
    say(f"✓ {title} ({time.monotonic() - begin:.1f} s)")


def say(line: str) -> None:
    """Print a line as it is, unwrapped, so that what it names can be pasted."""
    console.print(line, markup=False, soft_wrap=True)


def up(cloud: LocalCloud) -> None:
    """Start the local cloud if it is not running, and deploy the stack as it is now."""
    with cloud.locked():
        started = cloud.start()
        try:
            cloud.deploy()
            serve.clear_stale(cloud, say)
        except LocalCloudError:
            say("The local cloud stays up: run the same command again after a correction, or `make down`.")
            raise
        except BaseException:
            if started:
                cloud.stop()
                say("Stopped the local cloud that this run had started.")
            raise


def show_up(cloud: LocalCloud) -> None:
    """Start and deploy, then say where everything is."""
    up(cloud)
    demo.show_what_next(cloud, console)


def down(cloud: LocalCloud) -> None:
    """Stop the local cloud and delete its data; its logs stay."""
    with cloud.locked():
        if cloud.stop():
            say(f"The local cloud is stopped; the next one starts empty. Its logs are in {cloud.log('cdk').parent}")
        else:
            say("The local cloud is not running.")


def show_demo(cloud: LocalCloud) -> None:
    """Start and deploy, then book seven trips and show what came of them."""
    up(cloud)
    if not demo.run(cloud, console):
        raise SystemExit(1)
    if begun := os.environ.get("MAKE_BEGAN"):
        say(f"\nFrom `make demo` to here: {time.time() - float(begun):.0f} s")


def show_trip(cloud: LocalCloud, trip_id: str | None) -> None:
    """Follow one trip through the logs of all four functions: this one, or the last demo's successful one."""
    trip.follow(cloud, trip_id, console)


def serve_here(cloud: LocalCloud) -> None:
    """Serve the four services from this checkout on :9080, with reload, as Restate's latest deployment."""
    if not (cloud.is_running() and cloud.outputs()):
        up(cloud)
    serve.run(cloud, say)


def synth(cloud: LocalCloud) -> None:
    """Synthesize the stack for Restate Cloud and for a self-hosted server, without credentials."""
    with step("Synthesizing both shapes of the stack") as note:
        templates = synthesize(cloud.environment(), cloud.directory.parent / "synth", note)
    for shape, template in templates.items():
        say(f"{shape}: {template}")


COMMANDS: dict[str, Callable[..., None]] = {
    "up": show_up,
    "down": down,
    "demo": show_demo,
    "trip": show_trip,
    "serve": serve_here,
    "synth": synth,
}


def main(cloud: LocalCloud | None = None) -> int:
    """Run the command line's one command on this cloud, by default that of `make up`; returns the exit status."""
    accept_any_encoding()
    parser = argparse.ArgumentParser(prog="python -m localcloud", description="The local cloud of this project.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        if name == "trip":
            options.add_argument("trip_id", nargs="?", help="default: the last demo's successful trip")
    arguments = vars(parser.parse_args())
    chosen: str = arguments.pop("command")
    for signum in INTERRUPTIONS:
        signal.signal(signum, _interrupt)
    try:
        cloud = cloud or LocalCloud.default()
        cloud.step = step
        COMMANDS[chosen](cloud, **arguments)
    except LocalCloudError as error:
        console.print(f"✗ {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except (httpx.HTTPError, BotoCoreError, OSError) as error:
        logs = LocalCloud.default().log("ministack").parent
        print(
            f"✗ {chosen} could not go on: {error or type(error).__name__}. The servers' logs are in {logs}; `make up` "
            "starts what is not running.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    return 0


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
