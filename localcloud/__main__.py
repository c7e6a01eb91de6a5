"""`python -m localcloud`: `up` and `destroy` for any CDK app, and `down`, from any folder: PYTHONPATH names this
checkout there."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from dependencies.output import accept_any_encoding
from localcloud import terminal
from localcloud.cloud import LocalCloud
from localcloud.terminal import say


def up(cloud: LocalCloud, app: str, folder: Path | None, stacks: list[str], context: list[tuple[str, str]]) -> None:
    """Start the local cloud if it is not running, deploy a CDK app into it, and print the addresses."""
    outputs: dict[str, dict[str, str]] = {}

    def deploy() -> None:
        outputs.update(cloud.deploy_app(app, folder, stacks, dict(context)))

    terminal.up(cloud, deploy, down="python -m localcloud down")
    say(f"\nIngress       {cloud.ingress_url}\nRestate's UI  {cloud.admin_url}/ui/\nAWS           {cloud.aws_url}")
    for stack, its in outputs.items():
        for name, value in its.items():
            say(f"{stack}.{name}  {value}")
    say("\nStop it:\n  python -m localcloud down")


def destroy(cloud: LocalCloud, app: str, folder: Path | None, stacks: list[str]) -> None:
    """Destroy what `up` deployed with this command from this folder; the local cloud keeps running."""
    with cloud.locked():
        cloud.destroy_app(app, folder, stacks)


def down(cloud: LocalCloud) -> None:
    """Stop the local cloud and delete its data; its logs stay."""
    with cloud.locked():
        if cloud.stop():
            say(f"The local cloud is stopped; the next one starts empty. Its logs are in {cloud.log('cdk').parent}")
        else:
            say("The local cloud is not running.")


COMMANDS: dict[str, Callable[..., None]] = {"up": up, "destroy": destroy, "down": down}


def main(cloud: LocalCloud | None = None) -> int:
    """Run the command line's one command on this cloud, by default that of `make up`; returns the exit status."""
    accept_any_encoding()
    description = "A local cloud for any CDK app."
    return terminal.main("python -m localcloud", description, COMMANDS, cloud or LocalCloud.default(), _add_app_options)


def _add_app_options(options: argparse.ArgumentParser, command: str) -> None:
    if command == "down":
        return
    options.add_argument("--app", required=True, help="the command that synthesizes a CDK app: 'python app.py'")
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
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
