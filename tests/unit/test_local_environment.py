"""No local command reaches a real account, whatever is in the caller's environment.

A hostile environment points every AWS client at a server that must never be called.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.environment import ACCOUNT, LocalCloudError, assert_local, local_environment
from tests.hostile_environment import HostileEnvironment


def test_a_command_that_inherits_the_hostile_environment_calls_its_server(
    hostile_environment: HostileEnvironment,
) -> None:
    # given the hostile environment, when a command that inherits it calls S3
    call = "import boto3; boto3.client('s3').list_buckets()"
    answer = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False)

    # then its server is called, so the other tests prove something
    assert hostile_environment.hits, answer.stderr


def test_a_local_command_reaches_the_emulator_from_a_hostile_shell(
    cloud: LocalCloud, hostile_environment: HostileEnvironment
) -> None:
    # given a running cloud, when a local command calls S3 and STS
    call = (
        "import boto3; boto3.client('s3').list_buckets(); print(boto3.client('sts').get_caller_identity()['Account'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", call], env=cloud.environment(), capture_output=True, text=True, check=False
    )

    # then the emulator answered, and no other server was called
    assert answer.stdout.strip() == ACCOUNT, answer.stderr
    assert hostile_environment.hits == []


def test_a_client_in_the_callers_own_process_reaches_the_emulator_from_a_hostile_shell(
    cloud: LocalCloud, hostile_environment: HostileEnvironment
) -> None:
    # when this process, whose own environment is hostile, asks for its identity
    account = cloud.client("sts").get_caller_identity()["Account"]
    cloud.client("dynamodb").list_tables()

    # then the emulator answered, and no other server was called
    assert account == ACCOUNT
    assert hostile_environment.hits == []


def test_the_identity_check_passes_from_a_hostile_shell(
    cloud: LocalCloud, hostile_environment: HostileEnvironment
) -> None:
    assert_local(cloud.environment())

    assert hostile_environment.hits == []


def test_the_identity_check_refuses_another_endpoint_for_one_service(
    cloud: LocalCloud, hostile_environment: HostileEnvironment
) -> None:
    # given an environment that sends S3 elsewhere
    environment = cloud.environment() | {"AWS_ENDPOINT_URL_S3": "http://s3.example:80"}

    # when it is checked, then nothing may be deployed with it
    with pytest.raises(LocalCloudError, match=r"Refusing to deploy.*s3\.example"):
        assert_local(environment)
    assert hostile_environment.hits == []


def test_the_identity_check_refuses_another_account(cloud: LocalCloud) -> None:
    # given the keys of another account: the emulator takes a key of twelve digits as the account number
    environment = cloud.environment() | {"AWS_ACCESS_KEY_ID": "123456789012"}

    with pytest.raises(LocalCloudError, match=r"Refusing to deploy.*123456789012"):
        assert_local(environment)


def test_the_environment_contains_nothing_of_the_caller_s(
    hostile_environment: HostileEnvironment, tmp_path: Path
) -> None:
    environment = local_environment("http://127.0.0.1:4566", tmp_path / "tmp")

    assert not [name for name, value in environment.items() if hostile_environment.url in value or "AKIAREAL" in value]
    assert environment["HOME"] != str(tmp_path)
    assert "AWS_PROFILE" not in environment
