"""What is written about the comparison is what was measured, and what is measured is what runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from comparison import money, ownership, report
from comparison.report import PAGE, README, SCALE
from holiday.services import SERVICES
from localcloud.environment import ROOT


def test_the_readme_s_table_is_what_was_measured_last() -> None:
    assert report.block(README, "bench").strip() == report.summary(report.load()).strip()


def test_the_pages_are_what_was_measured_last() -> None:
    assert PAGE.read_text() == report.markdown(report.load())
    assert report.block(SCALE, "scale").strip() == report.limits(report.load()).strip()


def test_every_source_file_of_both_versions_is_counted_once() -> None:
    """But for what both share: the bundling, the defaults of a function, and what runs them all in one process.

    Both versions book the original three: a service that is added to one of them is not compared.
    """
    folders = ("lambdas/holiday", "holiday_stack", "comparison/step_functions")
    shared = {"bundling.py", "libraries.py", "service_function.py", "alarms.py", "trip_metrics.py"}
    shared |= {"local.py", "__init__.py"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.name not in shared]

    counted = [path for part in ownership.SOURCES.values() for paths in part.values() for path in paths]

    added = {f"lambdas/holiday/{name}.py" for name in SERVICES}
    uncounted = {str(path.relative_to(ROOT)) for path in files} - set(counted) - added
    assert uncounted == set()
    assert len(counted) == len(set(counted))


def test_a_million_trips_cost_what_each_service_charges_for_one() -> None:
    prices = {
        "lambda": {"per_million_requests": 0.5, "per_gb_second": 0.001},
        "step_functions": {"per_million_state_transitions": 25.0},
        "dynamodb": {"per_million_write_units": 2.0, "per_million_read_units": 1.0},
        "sns": {"per_million_publishes": 3.0},
        "api_gateway": {"per_million_requests": 4.0},
        "cloudwatch": {"per_gb_of_logs": 0.5, "per_gb_month_of_logs": 0.25},
        "restate": {"cloud_per_million_invocations": ""},
    }
    counts = {"lambda_invocations": 6, "billed_ms": 100, "state_transitions": 7, "dynamodb_requests": {"PutItem": 2}}
    counts |= {"log_bytes": 2000}

    assert money.per_million_trips(counts, prices, "Step Functions Standard") == {
        "Lambda requests": 3.0,
        "Lambda duration": 100.0,
        "DynamoDB": 4.0,
        "SNS": 3.0,
        "CloudWatch Logs": 1.5,
        "API Gateway": 4.0,
        "Step Functions": 175.0,
    }
    assert money.per_million_trips(counts, prices, "Restate")["Restate Cloud"] is None


@pytest.mark.slow
def test_the_benchmark_runs_and_counts(tmp_path: Path) -> None:
    """With a few trips: its times mean nothing, its counts do."""
    command = [sys.executable, "-m", "comparison.bench", "--smoke", "--results", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "results.json").read_text())

    found = results["engines"]
    assert found["Restate"]["counts"]["success"]["lambda_invocations"] <= 12
    for kind in ("Express", "Standard"):
        assert found[f"Step Functions {kind}"]["counts"]["success"]["state_transitions"] == 7
    assert found["Restate"]["faults"]["cancel"]["left_something_standing"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "latency.png", "throughput.png"}
