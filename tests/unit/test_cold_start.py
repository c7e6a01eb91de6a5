"""When boto3 is imported: at the start of a function with a table, and elsewhere only when it is used."""

import json
import subprocess
import sys

import pytest

from holiday.services import SERVICES
from holiday_stack.bundling import LAMBDAS
from restate_lambda_cdk import HANDLER


def loaded_by(module: str, also: str = "0", **variables: str) -> tuple[set[str], int]:
    """Import a module in a fresh interpreter. Returns the modules loaded there, and the value of an expression."""
    run = subprocess.run(
        [sys.executable, "-c", f"import json, sys, {module}; print(json.dumps([list(sys.modules), {also}]))"],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{LAMBDAS}:{HANDLER}", "AWS_DEFAULT_REGION": "eu-west-1", **variables},
    )
    assert run.returncode == 0, run.stderr
    modules, value = json.loads(run.stdout)
    return set(modules), value


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_with_a_table_creates_its_client_before_the_first_request(name: str) -> None:
    table = {SERVICES[name].table_variable: "table"}

    _, clients = loaded_by(f"holiday.{name}", "holiday.aws.dynamodb.cache_info().currsize", **table)

    assert clients == 1


@pytest.mark.parametrize(
    ("module", "variables"),
    [
        ("holiday.trips", {"SNS_TOPIC": "arn:aws:sns:eu-west-1:111122223333:notices"}),
        ("holiday.flights", {}),
        ("registration.cloudformation", {}),
        ("monitor.check", {}),
    ],
)
def test_nothing_else_imports_boto3_at_its_start(module: str, variables: dict[str, str]) -> None:
    modules, _ = loaded_by(module, **variables)

    assert module in modules
    assert not {name for name in modules if name.startswith("boto")}
