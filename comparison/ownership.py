"""What each version is to own: lines to read, counted by pygount; resources in the template; places to edit."""

import json
import tomllib
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

from localcloud.environment import ROOT

STEPS = "comparison/step_functions/lambdas/steps"
RESTATE, STEP_FUNCTIONS = "Restate", "Step Functions"
DEPENDENCY = "restate-lambda-cdk"  # a package counts as the one line that names it, like AWS CDK itself
# What both would read, neither counts: bundling, and the defaults of a Python function.
SOURCES = {
    "the workflow": {
        RESTATE: [f"lambdas/holiday/{name}.py" for name in ("trips", "saga", "failures", "handlers", "retries")],
        STEP_FUNCTIONS: ["comparison/step_functions/workflow.py", f"{STEPS}/trips.py"],
    },
    "the steps and their rows": {
        RESTATE: [f"lambdas/holiday/{name}.py" for name in ("flights", "cars", "payments", "bookings", "aws")]
        + ["lambdas/holiday/notifications.py", "lambdas/holiday/logs.py"],
        STEP_FUNCTIONS: [f"{STEPS}/{name}.py" for name in ("flights", "cars", "payments", "bookings")],
    },
    "messages and validation": {
        RESTATE: [f"lambdas/holiday/{name}.py" for name in ("messages", "serde", "notices", "services")]
        + [f"lambdas/holiday/{name}.py" for name in ("trip_request", "patterns", "simulation")],
        STEP_FUNCTIONS: [f"{STEPS}/models.py"],
    },
    "the stack": {
        RESTATE: ["app.py", "holiday_stack/stack.py", "holiday_stack/settings.py", "holiday_stack/environments.py"],
        STEP_FUNCTIONS: ["comparison/step_functions/app.py", "comparison/step_functions/stack.py"],
    },
    "registration with the engine": {RESTATE: [DEPENDENCY], STEP_FUNCTIONS: []},
}
HOTEL = Path(__file__).parent / "hotel.toml"


def lines() -> dict[str, dict[str, dict[str, int]]]:
    """{part: {engine: {"files": n, "code": n}}}: lines of code, without comments, docstrings and blank lines."""
    count = import_module("pygount").SourceAnalysis.from_file
    return {
        part: {
            engine: {
                "files": len(paths),
                "code": sum(1 if path == DEPENDENCY else count(str(ROOT / path), "").code_count for path in paths),
            }
            for engine, paths in engines.items()
        }
        for part, engines in SOURCES.items()
    }


def resources(directory: Path) -> dict[str, dict[str, int]]:
    """{stack: {resource type: number}}, of every stack that was synthesized in this cloud's directory."""
    templates = sorted(directory.glob("cdk.out/*/*.template.json"))
    return {
        template.name.partition(".")[0]: dict(
            sorted(Counter(found["Type"] for found in json.loads(template.read_text())["Resources"].values()).items())
        )
        for template in templates
    }


def hotel() -> dict[str, Any]:
    """What adding a hotel step took when it was done once in both."""
    return tomllib.loads(HOTEL.read_text())
