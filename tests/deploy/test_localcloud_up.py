"""`python -m localcloud up --app`: any CDK app, from any folder."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError
from tests.deploy import command

Command = Callable[..., subprocess.CompletedProcess[str]]

# Two stacks that output the app's context. They use nothing of this repository.
APP = """
from aws_cdk import App, CfnOutput, Stack, aws_sns as sns

app = App()
for name in ("One", "Two"):
    stack = Stack(app, name)
    sns.Topic(stack, "Topic")
    for key in ("adminUrl", "ingressUrl", "bundleFor", "disposable", "colour"):
        CfnOutput(stack, key, value=str(app.node.try_get_context(key)))
app.synth()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Another app's folder, with a space in its name."""
    folder = tmp_path / "another app"
    folder.mkdir()
    (folder / "main.py").write_text(APP)
    return folder


@pytest.fixture
def run(cloud: LocalCloud, tmp_path: Path) -> Command:
    """`python -m localcloud` for `cloud`, without an active environment."""

    def run(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*command.command_line(cloud, "localcloud"), *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def stacks(cloud: LocalCloud) -> set[str]:
    found = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"} & {"One", "Two"}


def test_an_app_is_deployed_from_its_folder_and_destroyed(cloud: LocalCloud, folder: Path, run: Command) -> None:
    # given another app, when one of its stacks is deployed from its folder
    up = ("up", "--app", "python main.py", "-c", "colour=blue")
    one = run(*up, "One", cwd=folder)

    # then only that stack exists, and it got Restate's address and the caller's context, but no holiday settings
    assert one.returncode == 0, one.stdout + one.stderr
    assert stacks(cloud) == {"One"}
    told = {"adminUrl": cloud.admin_url, "ingressUrl": cloud.ingress_url, "colour": "blue"}
    told |= dict.fromkeys(("bundleFor", "disposable"), "None")
    assert all(f"One.{name}  {value}\n" in one.stdout for name, value in told.items())

    # when all stacks are deployed, from another folder
    both = run(*up, "--folder", str(folder))
    assert both.returncode == 0, both.stdout + both.stderr
    assert stacks(cloud) == {"One", "Two"}

    # and when its code is broken afterwards, then it can still be destroyed
    (folder / "main.py").write_text("raise SystemExit('broken')")
    broken = run(*up, cwd=folder)
    assert broken.returncode == 1
    assert "✗ cdk deploy failed" in broken.stdout and "\nbroken\n" in broken.stdout
    destroyed = run("destroy", "--app", "python main.py", cwd=folder)
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert stacks(cloud) == set()


def test_the_app_runs_in_the_virtual_environment_that_is_active(
    cloud: LocalCloud, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an active environment whose python prints a word
    tools = tmp_path / "env" / "bin"
    tools.mkdir(parents=True)
    (tools / "python").write_text("#!/bin/sh\necho theirs >&2\nexit 1\n")
    (tools / "python").chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(tools.parent))

    with pytest.raises(LocalCloudError, match="theirs"):
        cloud.deploy_app("python main.py", folder)


def test_a_python_without_the_packages_is_reported_in_one_sentence(tmp_path: Path) -> None:
    for module in ("localcloud", "localcloud.fixtures"):
        bare = [sys.executable, "-S", "-m", module]  # -S: without installed packages
        environment = {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(bare, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        assert done.returncode == 1
        assert re.fullmatch(r"localcloud must run on \S+/\.venv/bin/python, which .*, not on .*\.\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("up", "One"), "the following arguments are required: --app"),
        (("up", "--app", "python main.py", "-c", "colour"), "'colour' must be NAME=VALUE"),
        (("up", "--app", "python main.py", "--folder", "nowhere"), "nowhere is not a folder"),
        (("destroy", "--app", "python other.py"), "Nothing was deployed of `python other.py` in "),
        (("destroy",), "the following arguments are required: --app"),
    ],
)
def test_a_wrong_argument_is_reported_in_one_sentence(run: Command, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)

    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
