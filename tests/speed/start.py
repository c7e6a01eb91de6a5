"""The cost of a cold start, as a ratio: each function's imports and first client, to `import restate` and a client.

A cold start is mostly imports, so fresh interpreters import each function as on Lambda: from its package, without
bytecode because Lambda's disk is read-only, and with boto3 and its bytecode from the runtime. Function and baseline are
measured in turn, in CPU time: a ratio is reliable on a busy machine, milliseconds are not.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from holiday_stack import bundling
from restate_lambda_cdk import HANDLER

BASELINE = "import restate, boto3 as sdk; sdk.client('{}')"
# What each function imports, with the client that it creates at its start or in its first request, and its AWS service.
FUNCTIONS = {
    "trips": ("import holiday.trips; holiday.aws.sns()", "sns"),
    "flights": ("import holiday.flights; holiday.aws.dynamodb()", "dynamodb"),
    "cars": ("import holiday.cars; holiday.aws.dynamodb()", "dynamodb"),
    "payments": ("import holiday.payments; holiday.aws.dynamodb()", "dynamodb"),
    "registration": (
        "import registration.cloudformation, boto3 as sdk; sdk.client('secretsmanager')",
        "secretsmanager",
    ),
}
BOOKED = ("flights", "cars", "payments")
AWS_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
ROUNDS = 15


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Each function's CPU time until its first call to AWS, divided by the baseline's. Medians."""
    ratios: dict[str, list[float]] = {name: [] for name in FUNCTIONS}
    with tempfile.TemporaryDirectory() as sdk:
        for name in AWS_SDK:
            (Path(sdk) / name).symlink_to(Path(boto3.__file__).parents[1] / name)
        path = [str(bundling.package("holiday", bundling.HOST)), str(HANDLER), sdk]
        for _ in range(rounds):
            for name, (code, service) in FUNCTIONS.items():
                own = {f"{name.upper()}_TABLE_NAME": name} if name in BOOKED else {"SNS_TOPIC": "arn"}
                ratios[name].append(_cpu_seconds(path, code, own) / _cpu_seconds(path, BASELINE.format(service), own))
    return {name: statistics.median(each) for name, each in ratios.items()}


def _cpu_seconds(path: list[str], code: str, variables: dict[str, str]) -> float:
    """Run without site-packages and with the function's own variables: with a table's, it creates that table's client
    at its start."""
    timed = f"import sys, time; sys.path[:0] = {path!r}; began = time.process_time()\n{code}\n"
    keys = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    run = [sys.executable, "-I", "-S", "-B", "-c", f"{timed}print(time.process_time() - began)"]
    return float(subprocess.check_output(run, cwd=os.sep, env={**keys, **variables}, text=True))


if __name__ == "__main__":
    for function, ratio in measure().items():
        print(f"{function:<14}{ratio:.2f}")
