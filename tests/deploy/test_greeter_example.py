"""Runs the commands of the example's README from top to bottom, in a copy of the example."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dependencies import sources
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.deploy import command
from tests.deploy.pages import commands
from tests.deploy.state import addresses, processes_below, routes

EXAMPLE = Path("packages/restate-lambda-cdk/examples/greeter")
README = (ROOT / EXAMPLE / "README.md").read_text()
SET_UP = 4  # the commands that every later one needs in its shell
pytestmark = pytest.mark.slow


def section(heading: str) -> list[tuple[str, list[str]]]:
    """The commands under this heading, each with its expected output lines."""
    return commands(README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the example that git has or would add, in another folder."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", str(EXAMPLE)]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
        target = tmp_path / "my greeter" / Path(name).relative_to(EXAMPLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "my greeter"


@pytest.fixture
def cloud_of_the_page(tmp_path: Path) -> Iterator[LocalCloud]:
    """The cloud that the page's commands start, on other ports."""
    cloud = LocalCloud(tmp_path / "cloud", Ports.free())
    yield cloud
    cloud.stop()


def shell(lines: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Run these lines in a shell in the checkout. Packages come from the caller's indexes."""
    environment = sources.environment() | {"TMPDIR": str(temporary)}
    return subprocess.run(
        ["bash", "-ec", lines],
        cwd=ROOT,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def shown(line: str) -> str:
    """A line of the page or of output, without durations."""
    return re.sub(r" \(\d+\.\d s\)", "", line).strip()


def test_the_readmes_commands_deploy_change_roll_back_and_destroy_a_service(
    copy: Path, cloud_of_the_page: LocalCloud, tmp_path: Path
) -> None:
    # given a set-up clone, where the page's commands use a copy of the example and another cloud
    cloud, here = cloud_of_the_page, shlex.join(command.command_line(cloud_of_the_page, "localcloud"))
    ports = {"8080": cloud.ports.ingress, "9070": cloud.ports.admin, "4566": cloud.ports.aws}

    def of_this_cloud(text: str) -> str:
        text = text.replace("python -m localcloud", here).replace(f"cd {EXAMPLE}", f"cd {shlex.quote(str(copy))}")
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(ports[port[0]]), text)

    page = section("In the local cloud")
    set_up = [line for line, _ in page[:SET_UP]]
    assert set_up.pop(0) == "make setup"

    for line, lines in page[SET_UP:]:
        before = routes(cloud) if cloud.is_running() else set[str]()

        # when its commands are run one after the other
        done = shell("\n".join(of_this_cloud(each) for each in (*set_up, line)), tmp_path)

        # then it succeeds, and prints what the page shows
        fails = line.endswith("# fails")
        assert (done.returncode != 0) == fails, f"{line}\n{done.stdout}"
        printed = [shown(each) for each in done.stdout.splitlines()]
        for each in lines:
            assert any(shown(of_this_cloud(each)) in said for said in printed), f"{line}\n{each}\n{done.stdout}"

        # and where a deploy fails, as the page says, the stack is rolled back, and new calls go where they went before
        if fails:
            assert before and routes(cloud) == before
            (stack,) = cloud.client("cloudformation").describe_stacks(StackName="Greeter")["Stacks"]
            assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        elif line.startswith("python -m localcloud up"):
            assert routes(cloud) != before
        elif line.startswith("python -m localcloud destroy"):
            assert addresses(cloud, set()) == set()

    # and nothing is running at the end
    assert processes_below(tmp_path) == []


def test_the_same_app_is_synthesized_for_restate_cloud_with_libraries_for_its_function(
    copy: Path, tmp_path: Path
) -> None:
    # given what the page installs for the function
    *to_install, (deploy, _) = section("In Restate Cloud")
    given = ["export PYTHONPATH=$PWD", ". .venv/bin/activate", f"cd {shlex.quote(str(copy))}"]
    given += [line for line, _ in to_install]
    synth = deploy.replace("cdk deploy", "cdk synth").replace("env_…", "env_1")
    done = shell("\n".join([*given, synth]), tmp_path)

    # then the libraries are for that CPU and Python, and the registration is with Restate Cloud
    assert done.returncode == 0, done.stdout
    native = [path.name for path in copy.glob("build/lambda/restate/*.so")]
    assert native == ["_internal.cpython-313-aarch64-linux-gnu.so"]
    assert "AdminUrl: https://1.env.us.restate.cloud:9070" in done.stdout

    # and without the libraries, the error says what to do
    shutil.rmtree(copy / "build" / "lambda")
    done = shell("\n".join([*(line for line in given if "uv pip" not in line), synth]), tmp_path)
    assert done.returncode != 0 and "build/lambda is empty: install into it" in done.stdout
