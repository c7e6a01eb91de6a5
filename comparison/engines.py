"""The engines in one local cloud, each behind its own URL: the same saga on Restate, and on Step Functions."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from demo.cloud import HolidayCloud
from holiday_stack import libraries
from localcloud.environment import ROOT

COMPARISON = ROOT / "comparison"
EMULATOR = ("-m", "comparison.emulator")
STEP_FUNCTIONS = COMPARISON / "step_functions"
WORKFLOW_TYPES = ("EXPRESS", "STANDARD")


@dataclass(frozen=True)
class Engine:
    """name: as tables and plots show it. url: where a trip is booked. outputs: the stack's."""

    name: str
    url: str
    outputs: Mapping[str, str]


def fetch_libraries() -> None:
    """Fetch what the functions of the Step Functions version need, before anything runs without a network."""
    lambdas = STEP_FUNCTIONS / "lambdas"
    libraries.fetch(libraries.HOST, lambdas, libraries.LOCAL / "step-functions")


def deploy_restate(cloud: HolidayCloud) -> Engine:
    return Engine("Restate", f"{cloud.ingress_url}/trips/reserve", cloud.deploy())


def deploy_step_functions(cloud: HolidayCloud, workflow_type: str) -> Engine:
    """workflow_type: EXPRESS or STANDARD."""
    kind = workflow_type.capitalize()
    app = f"{sys.executable} {STEP_FUNCTIONS / 'app.py'}"
    outputs = cloud.deploy({"type": workflow_type}, app=app, stack=f"StepFunctions{kind}")
    url = f"{cloud.aws_url}/_aws/execute-api/{outputs['ApiId']}/$default/trips/reserve"
    return Engine(f"Step Functions {kind}", url, outputs)
