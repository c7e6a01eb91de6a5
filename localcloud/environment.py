"""The environment of every local command: built from nothing, so that none can reach a real account.

The caller's profile, keys, endpoints, proxies and configuration files are not filtered out, which would miss the next
variable that an SDK invents: they are never passed on. `assert_local` then proves it, in a process that has this
environment, before anything is deployed.
"""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
ACCOUNT = "000000000000"
REGION = "us-east-1"
KEY = "test"


class LocalCloudError(Exception):
    """An error for the user: one sentence that says what is wrong, what to do, and where the log is."""


def local_environment(endpoint: str, temporary: Path) -> dict[str, str]:
    """All variables of a local command. `endpoint` is the emulator's address on the loopback interface."""
    home = LOCAL / "home"
    aws = home / ".aws"
    for folder in (aws, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("config", "credentials"):
        (aws / name).write_text("")
    tools = (Path(sys.executable).parent, ROOT / "node_modules" / ".bin")
    return package_sources() | {
        "PATH": os.pathsep.join([*map(str, tools), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "NO_PROXY": "*",
        "PYTHONUNBUFFERED": "1",
        "AWS_CONFIG_FILE": str(aws / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "true",
    }


def package_sources() -> dict[str, str]:
    """The variable with which a CDK app finds restate-lambda-cdk, which pip does not install because it has no hash."""
    try:
        importlib.metadata.distribution("restate-lambda-cdk")
    except importlib.metadata.PackageNotFoundError:
        return {"PYTHONPATH": str(ROOT / "packages" / "restate-lambda-cdk" / "src")}
    return {}


def local_client(service: str, endpoint: str) -> Any:
    """A boto3 client for this process, which may have the caller's environment: it reads no variable and no file."""
    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session: Any = boto3.Session(
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        region_name=REGION,
        botocore_session=botocore.session.Session(session_vars=nowhere),
    )
    config = Config(proxies={}, use_dualstack_endpoint=False, use_fips_endpoint=False)
    return session.client(service, endpoint_url=endpoint, config=config)


def assert_local(environment: dict[str, str]) -> None:
    """Check, in a process with this environment, which endpoint and which account AWS calls reach.

    Raises LocalCloudError unless S3 and STS are on the loopback interface and the account is the emulator's.
    """
    question = """
import boto3
sts = boto3.client("sts")
print(sts.meta.endpoint_url, boto3.client("s3").meta.endpoint_url, flush=True)
print(sts.get_caller_identity()["Account"])
"""
    answer = subprocess.run(
        [sys.executable, "-c", question], env=environment, capture_output=True, text=True, check=False
    )
    *endpoints, account = answer.stdout.split() or [""]
    if account != ACCOUNT or {urlsplit(url).hostname for url in endpoints} != {"127.0.0.1"}:
        found = " ".join(answer.stdout.split()) or "no answer"
        raise LocalCloudError(
            f"Refusing to deploy: local commands must reach account {ACCOUNT} on 127.0.0.1, and these reach {found}."
        )
