"""`make acceptance` as its users run it. AWS is the emulator, reached with what stands for the caller's own credentials
and endpoint, and Restate is behind a proxy that demands a key: the way to AWS is the one that is run, its end is not.
"""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from localcloud import stacks as cdk_stacks
from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.deploy import variants
from tests.deploy.authenticating_proxy import KEY, AuthenticatingProxy, guarding
from tests.deploy.command import of
from tests.deploy.state import deployments, processes_below, stacks
from tests.hostile_environment import HostileEnvironment

GONE = ("trips.py", ("raise failure.error(409,", "raise failure.error(410,"))
"""A holiday that answers something else to a duplicate."""


@dataclass
class Away:
    """An emulator and a Restate that the command is told of, and did not start."""

    cloud: HolidayCloud
    ingress: AuthenticatingProxy
    admin: AuthenticatingProxy
    folder: Path

    def command(self, *arguments: str, yes: bool = True) -> list[str]:
        """The command line of a run on AWS."""
        line = of(HolidayCloud(self.folder / "cloud", Ports.free()), "acceptance")
        where = ["--ingress", self.ingress.url, "--admin", self.admin.url, "-c", "bundleFor=host"]
        return [*line, *where, *(["--yes"] if yes else []), *arguments]

    def environment(self) -> dict[str, str]:
        """What stands for the caller's own."""
        return self.cloud.environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambdas")])}

    @contextmanager
    def run(self, *arguments: str, key: str = KEY) -> Generator["subprocess.Popen[str]"]:
        """The command, without a terminal; its input is the key."""
        with subprocess.Popen(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdin
            process.stdin.write(f"{key}\n")
            process.stdin.close()
            process.stdin = None
            try:
                yield process
            finally:
                process.kill()

    def said(self, *arguments: str, key: str = KEY) -> tuple[int, str]:
        """How it ended, and what it said."""
        with self.run(*arguments, key=key) as process:
            said, _ = process.communicate(timeout=600)
        return process.returncode, said

    def left(self) -> list[str]:
        """Everything of acceptances that is still there."""
        client = self.cloud.client
        groups = [group.get("logGroupName", "") for group in client("logs").describe_log_groups()["logGroups"]]
        secrets = [secret.get("Name", "") for secret in client("secretsmanager").list_secrets()["SecretList"]]
        queues = client("sqs").list_queues().get("QueueUrls", [])
        found = [*stacks(self.cloud), *groups, *secrets, *queues]
        return [name for name in found if "acceptance" in name] + list(deployments(self.cloud).values())


@contextmanager
def away(cloud: HolidayCloud, folder: Path) -> Generator[Away]:
    with guarding(cloud.ingress_url, KEY) as ingress, guarding(cloud.admin_url, KEY) as admin:
        yield Away(cloud, ingress, admin, folder)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    """With an account that CDK can deploy into, and a Restate without services."""
    with HolidayCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free()) as cloud:
        cdk_stacks.bootstrap(cloud)
        with away(cloud, tmp_path_factory.mktemp("acceptance")) as found:
            yield found


@pytest.mark.slow
def test_in_a_local_cloud_every_check_passes_and_nothing_is_left_or_reached(
    tmp_path: Path, hostile_environment: HostileEnvironment
) -> None:
    # given a shell whose AWS and proxies are hostile, when the command is run
    cloud = HolidayCloud(tmp_path / "cloud", Ports.free())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambdas")])}
    done = subprocess.run(
        of(cloud, "acceptance"), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )

    # then every check is on the page, and passed
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = tmp_path.glob("acceptance-*/report.md")
    assert "checks passed\n" in report.read_text() and report.read_text() in done.stdout
    assert "| failed |" not in done.stdout and "| not run |" not in done.stdout
    assert hostile_environment.hits == []
    assert processes_below(cloud.directory) == []


@pytest.mark.slow
def test_on_aws_every_check_passes_with_the_caller_s_credentials_and_key_and_nothing_is_left(aws: Away) -> None:
    status, said = aws.said()

    assert status == 0, said
    assert "checks passed" in said and "Left behind: nothing." in said
    assert (aws.ingress.refused, aws.admin.refused) == (0, 0)
    assert aws.left() == []
    # and neither the page nor the CDK's log holds what nobody else should have
    for path in aws.folder.rglob("*"):
        assert not path.is_file() or KEY not in path.read_text(errors="replace")
    (report,) = aws.folder.glob("acceptance-*/report.md")
    assert KEY not in said and "000000000000" not in report.read_text()


@pytest.mark.slow
def test_a_holiday_that_breaks_the_contract_fails_by_name(aws: Away, tmp_path: Path) -> None:
    broken = variants.edited(tmp_path / "broken", dict([GONE]))

    status, said = aws.said("-c", f"acceptance:lambdas={broken}")

    assert status == 1
    assert "✗ a trip id that is booked already" in said and "status: 410 instead of 409" in said
    assert "1 of 17 checks failed" in said and said.count("| failed |") == 1
    assert aws.left() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "signum"),
    [
        ("CREATE_IN_PROGRESS", signal.SIGINT),  # of the first deployment
        ("run type failPayment", signal.SIGTERM),
        ("UPDATE_IN_PROGRESS", signal.SIGINT),  # of the one that is rolled back
    ],
)
def test_an_interruption_leaves_nothing(aws: Away, at: str, signum: signal.Signals) -> None:
    before = set(aws.folder.glob("acceptance-*"))
    with aws.run() as process:
        assert process.stdout
        lines: list[str] = []
        while not any(at in line for line in lines):  # what it says, and what the CDK says in its log
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
    assert aws.left() == []


@pytest.mark.slow
def test_at_a_terminal_it_says_what_it_will_touch_and_anything_but_yes_touches_nothing(aws: Away) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        aws.command(yes=False),
        cwd=ROOT,
        env=aws.environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,  # or it would ask for the key at the terminal that the tests run in
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
    assert aws.left() == []


def test_a_restate_that_has_services_is_refused_and_nothing_is_touched(
    cloud: HolidayCloud, stack: dict[str, str], tmp_path: Path
) -> None:
    assert stack
    with away(cloud, tmp_path) as aws:
        registered = deployments(cloud)
        status, said = aws.said()

        assert status == 1
        assert "already has services (cars, flights, payments, trips), and nothing was touched" in said
        assert aws.left() == list(registered.values())
        assert aws.admin.asked == ["GET /services"] and aws.ingress.asked == []


def test_a_rejected_key_is_one_sentence_without_the_key(
    cloud: HolidayCloud, stack: dict[str, str], tmp_path: Path
) -> None:
    assert stack
    with away(cloud, tmp_path) as aws:
        status, said = aws.said(key="key_wrong")

    assert status == 1
    assert "rejected the API key (401)" in said and "key_wrong" not in said


def test_where_nobody_can_be_asked_nothing_is_done(tmp_path: Path, hostile_environment: HostileEnvironment) -> None:
    line = of(HolidayCloud(tmp_path / "cloud", Ports.free()), "acceptance")
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


def read_until(terminal: int, words: str | None) -> str:
    """What a terminal shows until it shows these words, or, without any, to its end."""
    shown = ""
    while words is None or words not in shown:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            break
        if not read:
            break
        shown += read.decode(errors="replace")
    return shown
