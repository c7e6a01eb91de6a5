"""`make acceptance` as its users run it, with the emulator as AWS and a restate-server that requires a key.

The command does the same as on AWS, with the caller's own credentials and endpoint. Real AWS is never called.
"""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from holiday.services import SERVICES
from localcloud import stacks as cdk_stacks
from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.acceptance.on_aws import AcceptanceOnAws, on_aws, read_until
from tests.deploy import variants
from tests.deploy.authenticating_proxy import KEY
from tests.deploy.command import command_line
from tests.deploy.state import deployments, processes_below
from tests.hostile_environment import HostileEnvironment

GONE = ("trips.py", ("raise failure.error(409,", "raise failure.error(410,"))
"""An edit that breaks the contract: the answer to a duplicate has another status."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcceptanceOnAws]:
    """A bootstrapped account and a restate-server without services."""
    with HolidayCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free()) as cloud:
        cdk_stacks.bootstrap(cloud)
        with on_aws(cloud, tmp_path_factory.mktemp("acceptance")) as found:
            yield found


@pytest.mark.slow
def test_in_a_local_cloud_every_check_passes_and_nothing_is_left_behind_or_called_outside(
    tmp_path: Path, hostile_environment: HostileEnvironment
) -> None:
    # given a hostile environment, when the command is run
    cloud = HolidayCloud(tmp_path / "cloud", Ports.free())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambdas")])}
    done = subprocess.run(
        command_line(cloud, "acceptance"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    # then the report says that every check passed
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = tmp_path.glob("acceptance-*/report.md")
    assert "checks passed\n" in report.read_text() and report.read_text() in done.stdout
    assert "| failed |" not in done.stdout and "| not run |" not in done.stdout
    assert hostile_environment.hits == []
    assert processes_below(cloud.directory) == []


@pytest.mark.slow
def test_on_aws_every_check_passes_with_the_caller_s_credentials_and_key_and_nothing_is_left_behind(
    aws: AcceptanceOnAws,
) -> None:
    status, said = aws.run()

    assert status == 0, said
    assert "checks passed" in said and "Left behind: nothing." in said
    assert (aws.ingress.refused, aws.admin.refused) == (0, 0)
    assert aws.leftovers() == []
    # and neither the report nor the CDK's log contains the key or the account
    for path in aws.folder.rglob("*"):
        assert not path.is_file() or KEY not in path.read_text(errors="replace")
    (report,) = aws.folder.glob("acceptance-*/report.md")
    assert KEY not in said and "000000000000" not in report.read_text()


@pytest.mark.slow
def test_a_broken_contract_fails_the_check_that_names_it(aws: AcceptanceOnAws, tmp_path: Path) -> None:
    broken = variants.edited(tmp_path / "broken", dict([GONE]))

    status, said = aws.run("-c", f"acceptance:lambdas={broken}")

    assert status == 1
    assert "✗ a trip id that is booked already" in said and "status: 410 instead of 409" in said
    assert "1 of 17 checks failed" in said and said.count("| failed |") == 1
    assert aws.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "signum"),
    [
        ("CREATE_IN_PROGRESS", signal.SIGINT),  # during the first deployment
        ("run type failPayment", signal.SIGTERM),
        ("UPDATE_IN_PROGRESS", signal.SIGINT),  # during the deployment that is rolled back
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(aws: AcceptanceOnAws, at: str, signum: signal.Signals) -> None:
    before = set(aws.folder.glob("acceptance-*"))
    with aws.start() as process:
        assert process.stdout
        lines: list[str] = []
        while not any(at in line for line in lines):  # its own output, and the CDK's log
            if select.select([process.stdout], [], [], 0.1)[0]:
                lines.append(process.stdout.readline())
                assert lines[-1], "".join(lines)
            for folder in set(aws.folder.glob("acceptance-*")) - before:
                log = folder / "cdk.log"
                lines += [log.read_text(errors="replace")] if log.exists() else []

        process.send_signal(signum)
        said, _ = process.communicate(timeout=600)

    assert process.returncode == 130, said
    assert "interrupted" in said and "Left behind: nothing." in said and "Traceback" not in said
    assert aws.leftovers() == []


@pytest.mark.slow
def test_at_a_terminal_it_lists_what_it_will_create_and_does_nothing_without_a_yes(aws: AcceptanceOnAws) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        aws.command_line(yes=False),
        cwd=ROOT,
        env=aws.environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,  # otherwise it would prompt at the terminal that runs the tests
    )
    os.close(terminal)
    shown = read_until(controller, "API key")
    os.write(controller, f"{KEY}\n".encode())
    shown += read_until(controller, "Type yes to continue: ")
    os.write(controller, b"y\n")
    shown += read_until(controller, None)

    assert process.wait(60) == 1
    assert "nothing was touched" in shown and KEY not in shown
    for word in ("account 000000000000", "us-east-1", "the stack acceptance-", "the queue acceptance-", "aws sqs"):
        assert word in shown
    assert aws.leftovers() == []


def test_a_restate_that_has_services_is_rejected_and_nothing_is_changed(
    cloud: HolidayCloud, stack: dict[str, str], tmp_path: Path
) -> None:
    assert stack
    with on_aws(cloud, tmp_path) as aws:
        registered = deployments(cloud)
        status, said = aws.run()

        assert status == 1
        services = ", ".join(sorted([*SERVICES, "trips"]))
        assert f"already has services ({services}), and nothing was touched" in said
        assert aws.leftovers() == list(registered.values())
        assert aws.admin.asked == ["GET /services"] and aws.ingress.asked == []


def test_a_rejected_key_is_reported_in_one_sentence_without_the_key(
    cloud: HolidayCloud, stack: dict[str, str], tmp_path: Path
) -> None:
    assert stack
    with on_aws(cloud, tmp_path) as aws:
        status, said = aws.run(key="key_wrong")

    assert status == 1
    assert "rejected the API key (401)" in said and "key_wrong" not in said


def test_without_a_terminal_or_yes_nothing_is_done(tmp_path: Path, hostile_environment: HostileEnvironment) -> None:
    line = command_line(HolidayCloud(tmp_path / "cloud", Ports.free()), "acceptance")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambdas")])}
    done = subprocess.run(
        [*line, "--ingress", hostile_environment.url, "--admin", hostile_environment.url],
        cwd=ROOT,
        env=environment,
        input=f"{KEY}\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "This needs a terminal to confirm in" in done.stdout
    assert hostile_environment.hits == []
