"""Runs `make acceptance` with the emulator as AWS, and a restate-server that requires a key as Restate Cloud."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.cloud import HolidayCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports
from tests.deploy.authenticating_proxy import KEY, AuthenticatingProxy, guarding
from tests.deploy.command import command_line
from tests.deploy.state import deployments, stacks


@dataclass
class AcceptanceOnAws:
    """The command, run on an emulator and a restate-server that it did not start."""

    cloud: HolidayCloud
    ingress: AuthenticatingProxy
    admin: AuthenticatingProxy
    folder: Path

    def command_line(self, *arguments: str, yes: bool = True) -> list[str]:
        """The command line. yes: do not ask for confirmation."""
        line = command_line(HolidayCloud(self.folder / "cloud", Ports.free()), "acceptance")
        where = ["--ingress", self.ingress.url, "--admin", self.admin.url, "-c", "bundleFor=host"]
        return [*line, *where, *(["--yes"] if yes else []), *arguments]

    def environment(self) -> dict[str, str]:
        """The caller's environment, with AWS credentials and endpoint."""
        return self.cloud.environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambdas")])}

    @contextmanager
    def start(self, *arguments: str, key: str = KEY) -> Generator["subprocess.Popen[str]"]:
        """Start the command without a terminal and pass it the key as its input."""
        with subprocess.Popen(
            self.command_line(*arguments),
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

    def run(self, *arguments: str, key: str = KEY) -> tuple[int, str]:
        """Run the command. Returns its exit status and its output."""
        with self.start(*arguments, key=key) as process:
            output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def leftovers(self) -> list[str]:
        """All resources of acceptance runs that still exist."""
        client = self.cloud.client
        groups = [group.get("logGroupName", "") for group in client("logs").describe_log_groups()["logGroups"]]
        secrets = [secret.get("Name", "") for secret in client("secretsmanager").list_secrets()["SecretList"]]
        queues = client("sqs").list_queues().get("QueueUrls", [])
        found = [*stacks(self.cloud), *groups, *secrets, *queues]
        return [name for name in found if "acceptance" in name] + list(deployments(self.cloud).values())


@contextmanager
def on_aws(cloud: HolidayCloud, folder: Path) -> Generator[AcceptanceOnAws]:
    """This cloud as AWS and Restate Cloud; `folder` is for the state and the reports of the runs."""
    with guarding(cloud.ingress_url, KEY) as ingress, guarding(cloud.admin_url, KEY) as admin:
        yield AcceptanceOnAws(cloud, ingress, admin, folder)


def read_until(terminal: int, words: str | None) -> str:
    """Read what a terminal shows until it shows these words, or, if None, until the end."""
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
