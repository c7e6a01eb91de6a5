"""What the commands of a local cloud show on a terminal, and how they end.

Every failure that a person can act on ends as one sentence, and every interruption, Ctrl-C or a signal, ends what
this run started and nothing else.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import httpx
from botocore.exceptions import BotoCoreError
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from localcloud.cloud import LocalCloud
from localcloud.deploy import Note
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


def table(*headings: str, gap: int = 2) -> Table:
    """An empty table without a frame. Its columns, `gap` apart, have these headings and do not wrap."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        made.add_column(heading, no_wrap=True)
    return made


def say(line: str) -> None:
    """Print a line as it is, unwrapped, so that what it names can be pasted."""
    console.print(line, markup=False, soft_wrap=True)


def main(
    prog: str,
    description: str,
    commands: Mapping[str, Callable[..., None]],
    cloud: LocalCloud,
    add_options: Callable[[argparse.ArgumentParser, str], None],
) -> int:
    """Run the command line's one command on this cloud; returns the exit status.

    commands: each by its name. It takes the cloud and the options that `add_options` adds; its docstring is its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    choices = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in commands.items():
        add_options(choices.add_parser(name, help=command.__doc__, description=command.__doc__), name)
    arguments = vars(parser.parse_args())
    chosen: str = arguments.pop("command")
    return run(chosen, lambda: commands[chosen](cloud, **arguments), cloud)


def run(name: str, command: Callable[[], None], cloud: LocalCloud) -> int:
    """Run a command on this cloud, showing its steps; returns the exit status."""
    for signum in INTERRUPTIONS:
        signal.signal(signum, _interrupt)
    cloud.step = step
    try:
        command()
    except LocalCloudError as error:
        console.print(f"✗ {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except (httpx.HTTPError, BotoCoreError, OSError) as error:
        logs = cloud.log("ministack").parent
        print(
            f"✗ {name} failed: {error or type(error).__name__}. The servers' logs are in {logs}; `up` starts what is "
            "not running.",
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, or Ctrl-D where a line was asked for
        say("Interrupted.")
        return 130
    return 0


def up(cloud: LocalCloud, deploy: Callable[[], None], down: str) -> None:
    """Start the local cloud if it is not running, and deploy into it. `down` is the command that stops it."""
    with cloud.locked():
        started = cloud.start()
        try:
            deploy()
        except LocalCloudError:
            say(f"The local cloud is still running: fix the cause and run the same command again, or `{down}`.")
            raise
        except BaseException:
            if started:
                cloud.stop()
                say("Stopped the local cloud that this run had started.")
            raise


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
