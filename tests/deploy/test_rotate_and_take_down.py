"""docs/rotate-the-key.md and docs/tear-down.md: their commands, run in the pages' order.

An authenticating proxy in front of the local Restate requires the key. The AWS CLI is the real one, which uv fetches
when this runs.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cloud import STACK, HolidayCloud
from dependencies import sources
from localcloud.environment import ROOT
from tests.deploy.authenticating_proxy import KEY, OTHER_KEY, AuthenticatingProxy, guarding
from tests.deploy.pages import commands, section
from tests.deploy.state import addresses, stacks
from tests.expectations import TABLES

pytestmark = pytest.mark.slow

AWS_CLI = "awscli==1.46.3"
Commands = list[tuple[str, list[str]]]
STEP = re.compile(r"^\d\. |^ +If it prints", re.MULTILINE)
CREATE = commands(STEP.split(section("deploy.md", "Restate Cloud"))[3])
REPLACE, CHECK, PUT_BACK, IS_IDLE = map(commands, STEP.split(section("rotate-the-key.md", "Steps"))[2:])
DESTROY, DELETE_TABLES, DELETE_LOG, SECRET, _ = map(commands, STEP.split(section("tear-down.md", "Steps"))[1:])


class Person:
    """Follows the page in a shell with the tools that it names. The local cloud is the AWS account."""

    def __init__(self, cloud: HolidayCloud, tools: Path) -> None:
        install = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(tools), AWS_CLI]
        subprocess.run(install, check=True, env=sources.environment())
        aws = tools / "bin" / "aws"
        aws.write_text(f'#!/bin/sh\nPYTHONPATH="{tools}" exec "{sys.executable}" -m awscli "$@"\n')
        here = cloud.environment()  # contains none of the caller's AWS settings
        self._variables = here | {"PATH": f"{aws.parent}:{here['PATH']}"}

    def follows(self, step: Commands, typed: str = "") -> list[str]:
        """Run these commands, which must succeed, with this input. Returns the lines that they print."""
        script = "\n".join(command for command, _ in step)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            check=False,
            cwd=ROOT,
            env=self._variables,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout.splitlines()


def shown(step: Commands) -> list[str]:
    """The output that the page shows for these commands."""
    return [line for _, lines in step for line in lines]


@pytest.fixture
def authenticating_proxy(own_cloud: HolidayCloud) -> Iterator[AuthenticatingProxy]:
    with guarding(own_cloud.admin_url, KEY) as authenticating_proxy:
        yield authenticating_proxy


def test_the_pages_commands_rotate_the_key_and_remove_everything(
    own_cloud: HolidayCloud, authenticating_proxy: AuthenticatingProxy, tmp_path: Path
) -> None:
    # given a stack whose key is in a secret that was created as the page says
    person = Person(own_cloud, tmp_path / "tools")
    arn = json.loads("\n".join(person.follows(CREATE, f"{KEY}\n")))["ARN"]
    own_cloud.deploy({"adminUrl": authenticating_proxy.url, "authTokenSecretArn": arn, "disposable": "false"})
    assert person.follows(CHECK) == shown(CHECK)

    # when a wrong key is put into the secret, then the page's check fails, and the first key can be put back
    person.follows(REPLACE, "key_with_a_tyop\n")
    assert person.follows(CHECK) == ["401"]
    person.follows(PUT_BACK)
    assert person.follows(CHECK) == shown(CHECK)

    # when the key is rotated, then the new one is accepted, and nothing uses the first any longer
    authenticating_proxy.key = OTHER_KEY
    person.follows(REPLACE, f"{OTHER_KEY}\n")
    assert person.follows(CHECK) == shown(CHECK)
    assert person.follows(IS_IDLE) == shown(IS_IDLE)

    # when the stack is deleted, then its services are deregistered with the new key
    settings = {"adminUrl": authenticating_proxy.url, "ingressUrl": own_cloud.ingress_url, "authTokenSecretArn": arn}
    options = [f"-c {name}={value}" for name, value in (settings | {"bundleFor": "host"}).items()]
    refused = authenticating_proxy.refused
    here = " ".join([*options, f"--output {tmp_path}/cdk.out", "--force"])  # --force: otherwise it prompts
    ((destroy, _),) = DESTROY
    assert "-c environment=production" in destroy
    person.follows([(destroy.replace("-c environment=production", here), [])])
    assert addresses(own_cloud, set()) == set()
    assert authenticating_proxy.refused == refused
    assert STACK not in stacks(own_cloud)

    # and the page's other commands leave nothing behind
    look, delete = DELETE_TABLES
    assert len(person.follows([look])[0].split()) == len(TABLES)
    person.follows([delete])
    look, (delete, _) = DELETE_LOG
    (name,) = person.follows([look])
    person.follows([(delete.replace("<name>", name), [])])
    assert person.follows(SECRET) == shown(SECRET)
    assert own_cloud.client("dynamodb").list_tables()["TableNames"] == []
    assert own_cloud.client("logs").describe_log_groups()["logGroups"] == []
    assert own_cloud.client("secretsmanager").list_secrets()["SecretList"] == []
    assert own_cloud.client("lambda").list_functions()["Functions"] == []
