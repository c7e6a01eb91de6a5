"""`python -m comparison.imports`: what a cold start pays before the first request, and where it goes.

A cold start is imports, so each handler is imported by fresh interpreters that see what Lambda's see: its package, and
boto3 as the runtime's own. The package has no bytecode and gets none, as on Lambda's read-only disk; boto3 has its own.
What counts are ratios to importing the two libraries, taken in turn in one run: milliseconds are this machine's.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import boto3

from comparison.cold import zipped
from dependencies.output import accept_any_encoding
from holiday_stack import bundling
from restate_lambda_cdk import HANDLER

BARE = "restate, msgspec"
ROUNDS = 9
AWS_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
# Each handler's module, the variables that its function has, and the client that its first request needs.
HANDLERS: dict[str, tuple[Mapping[str, str], str]] = {
    BARE: ({}, "None"),
    "holiday.trips": ({"SNS_TOPIC": "arn"}, "holiday.aws.sns()"),
    "holiday.flights": ({"FLIGHTS_TABLE_NAME": "flights"}, "holiday.aws.dynamodb()"),
    "holiday.cars": ({"CARS_TABLE_NAME": "cars"}, "holiday.aws.dynamodb()"),
    "holiday.payments": ({"PAYMENTS_TABLE_NAME": "payments"}, "holiday.aws.dynamodb()"),
    "registration.cloudformation": ({}, "__import__('boto3').client('secretsmanager')"),
}
TIMED = """
from time import perf_counter as now
began = now()
import {module}
imported = now()
{client}
print(__import__("json").dumps([imported - began, now() - imported]))
"""
COLUMN = "{:<28}{:>10}{:>14}   {}"


def main() -> None:
    accept_any_encoding()
    holiday, registration = bundling.package("holiday", bundling.HOST), HANDLER
    with tempfile.TemporaryDirectory() as sdk:
        for name in AWS_SDK:
            (Path(sdk) / name).symlink_to(Path(boto3.__file__).parents[1] / name)
        path = [str(holiday), str(registration), sdk]
        times: dict[str, list[list[float]]] = {module: [] for module in HANDLERS}
        for number in range(ROUNDS):
            print(f"\rround {number + 1} of {ROUNDS}", end="", file=sys.stderr, flush=True)
            for module, (variables, client) in HANDLERS.items():
                code = TIMED.format(module=module, client=client)
                times[module].append(json.loads(_run(path, code, variables).stdout))
        print(file=sys.stderr)
        middle = {module: [statistics.median(each) for each in zip(*times[module], strict=True)] for module in HANDLERS}
        bare = middle[BARE][0]
        print(COLUMN.format("", "import", "first client", "where the import's time goes"))
        for module, (variables, _) in HANDLERS.items():
            imported, client = middle[module]
            shares = _shares(_run(path, f"import {module}", variables, "-X", "importtime").stderr)
            print(COLUMN.format(module, f"{imported / bare:.2f}", f"{client / bare:.2f}", shares))
    print(f"1.00 is importing {BARE}: {bare * 1000:.0f} ms on this machine, Python {sys.version.split()[0]}.")
    for name, package in (("holiday", bundling.package("holiday", bundling.LAMBDA)), ("registration", registration)):
        print(f"The package {name}: {_megabytes(package)}")


def _run(path: list[str], code: str, variables: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter without site-packages, and in the environment that Lambda gives a function."""
    keys = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x"}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", *options, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=os.sep,
        env={**keys, "AWS_SECRET_ACCESS_KEY": "x", **variables},
    )


def _shares(importtime: str) -> str:
    """The packages in which most of the time went, each without what it imports from others."""
    spent: Counter[str] = Counter()
    for line in importtime.splitlines():
        own, _, module = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            name = module.strip().partition(".")[0]
            spent["Python's own" if name in sys.stdlib_module_names else name] += int(own)
    return ", ".join(f"{name} {each / spent.total():.0%}" for name, each in spent.most_common(5))


def _megabytes(package: Path) -> str:
    """As it is on Lambda's disk, and as it is uploaded."""
    files = [path for path in package.rglob("*") if path.is_file()]
    unpacked = sum(path.stat().st_size for path in files)
    return f"{unpacked / 1e6:.2f} MB in {len(files)} files, {zipped(package) / 1e6:.2f} MB zipped."


if __name__ == "__main__":
    main()
