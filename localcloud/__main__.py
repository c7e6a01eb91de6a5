"""`python -m localcloud`: the commands behind `make up`, `down`, `demo`, `trip`, `serve` and `synth`, and `up` and
`destroy` for anybody's CDK app (`--app`), from any folder: PYTHONPATH names this checkout there.

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
from pathlib import Path
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


def up(cloud: LocalCloud, deploy: Callable[[], None] | None = None) -> None:
    """Start the local cloud if it is not running, and deploy into it: the holiday's stack as it is now, or this."""
    with cloud.locked():
        started = cloud.start()
        try:
            if deploy:
                deploy()
            else:
                cloud.deploy()
                serve.clear_stale(cloud, say)
        except LocalCloudError:
            end = "python -m localcloud down" if deploy else "make down"
            say(f"The local cloud stays up: run the same command again after a correction, or `{end}`.")
            raise
        except BaseException:
            if started:
                cloud.stop()
                say("Stopped the local cloud that this run had started.")
            raise


def show_up(
    cloud: LocalCloud, app: str | None, folder: Path | None, stacks: list[str], context: list[tuple[str, str]]
) -> None:
    """Start and deploy, then say where everything is. With --app, deploy that CDK app instead of the holiday's."""
    if app is None:
        if folder or stacks or context:
            raise LocalCloudError("Stacks, --folder and --context are for another CDK app: name its command by --app.")
        up(cloud)
        demo.show_what_next(cloud, console)
        return
    outputs: dict[str, dict[str, str]] = {}
    up(cloud, lambda: outputs.update(cloud.deploy_app(app, folder, stacks, dict(context))))
    say(f"\nIngress       {cloud.ingress_url}\nRestate's UI  {cloud.admin_url}/ui/\nAWS           {cloud.aws_url}")
    for stack, its in outputs.items():
        for name, value in its.items():
            say(f"{stack}.{name}  {value}")
    say("\nStop it:\n  python -m localcloud down")


def destroy(cloud: LocalCloud, app: str, folder: Path | None, stacks: list[str]) -> None:
    """Destroy what `up --app` deployed by this command from this folder; the local cloud runs on."""
    with cloud.locked():
        cloud.destroy_app(app, folder, stacks)


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
    "destroy": destroy,
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
        if name in ("up", "destroy"):
            _add_app_options(options, name)
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


def _add_app_options(options: argparse.ArgumentParser, command: str) -> None:
    required = command == "destroy"
    options.add_argument("--app", required=required, help="the command that synthesizes a CDK app: 'python app.py'")
    options.add_argument("--folder", type=_folder, help="where that command runs; default: here")
    options.add_argument("stacks", nargs="*", help="default: all stacks of the app")
    if command == "up":
        form = "NAME=VALUE"
        help_ = "context for the app, besides adminUrl and ingressUrl, which say where the local Restate is"
        options.add_argument("-c", "--context", action="append", default=[], type=_setting, metavar=form, help=help_)


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return Path(text)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
