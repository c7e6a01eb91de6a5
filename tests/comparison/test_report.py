"""The pages about the comparison show what was measured last, and the benchmark still runs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comparison import report
from comparison.report import BLOCK, HERE, PAGES
from holiday.services import SERVICES
from localcloud.environment import ROOT

SAVED: dict[str, Any] = json.loads(report.RESULTS.read_text())


@pytest.mark.slow  # pandas comes with `make bench`
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_tables_show_what_was_measured_last(page: Path) -> None:
    texts = report.blocks(SAVED)
    found = {block[2]: block[3] for block in BLOCK.finditer(page.read_text())}

    assert found
    assert found == {name: texts[name] for name in found}


def test_the_pages_show_the_counts_that_were_measured_last() -> None:
    """The same without pandas, for the exact figures."""
    values = {(table, column, row): value for table, column, row, value in SAVED["values"]}
    for unit in ("Lambda invocations", "DynamoDB requests"):
        engines = [column for table, column, row in values if (table, row) == ("counts success", unit)]
        cells = [f"{values['counts success', engine, unit]:g}" for engine in engines]

        assert len(cells) == 3
        for page in PAGES:
            row = next(line for line in page.read_text().splitlines() if line.startswith(f"| {unit}, a booked trip"))
            assert [cell.strip() for cell in row.split("|")[2:-1]] == cells


def test_every_source_file_of_both_versions_is_counted_once() -> None:
    """Except for what both share: bundling, function defaults, and running all services in one process.

    Both versions book the original three services. A service that is added to one version is not compared.
    """
    folders = ("lambdas/holiday", "holiday_stack", "comparison/step_functions")
    shared = {"bundling.py", "libraries.py", "service_function.py", "alarms.py", "trip_metrics.py"}
    shared |= {"local.py", "__init__.py"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.name not in shared]

    counted = [[path for part in report.SOURCES.values() for path in part[version]] for version in (0, 1)]

    added = {f"lambdas/holiday/{name}.py" for name in SERVICES}
    uncounted = {str(path.relative_to(ROOT)) for path in files} - set(counted[0]) - set(counted[1]) - added
    assert uncounted == set()
    assert [len(paths) for paths in counted] == [len(set(paths)) for paths in counted]
    assert set(counted[0]) & set(counted[1]) == set(report.SOURCES["shared by both"][0])


@pytest.mark.slow
def test_the_cost_of_a_million_trips_is_each_count_times_its_price() -> None:
    prices = {row["unit"]: float(row["dollars"]) for row in csv.DictReader((HERE / "prices.csv").open())}
    counts = {"Lambda invocations": 6, "Lambda GB-seconds": 0.1, "DynamoDB write units": 2, "SNS publishes": 1}
    counts |= {"KB of logs": 2, "HTTP API requests": 1, "Standard state transitions": 7}
    units = {**counts, "states entered": 7, "DynamoDB requests": 2}
    values = [("counts success", "Standard", unit, count) for unit, count in units.items()]
    values += [("counts failPayment", "Standard", unit, count) for unit, count in units.items()]
    values += [
        ("faults", "Standard", "half-booked trips", 0),
        ("times", "Standard", "booked trip, callers: 1; median ms", "1 (1 to 1)"),
    ]

    cost = report.blocks({"values": values, "measured": SAVED["measured"]})["bench cost"].splitlines()[2:]

    cells = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in cost}
    expected = {unit: count * prices[unit] for unit, count in counts.items()}
    assert {unit: float(cell) for unit, cell in cells.items() if unit in counts} == pytest.approx(expected, rel=0.01)
    assert float(cells["**total**"]) == pytest.approx(sum(expected.values()), rel=0.01)
    assert cells["Express requests"] == "—"


@pytest.mark.slow
def test_the_benchmark_runs_and_counts(tmp_path: Path) -> None:
    """With a few trips: enough for the counts, not for the times."""
    command = [sys.executable, "-m", "comparison.bench", "--smoke", "--results", str(tmp_path / "results.json")]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "lambdas")}
    run = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=1500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "results.json").read_text())

    values = {(table, column, row): value for table, column, row, value in results["values"]}
    assert values["counts success", "Restate", "Lambda invocations"] <= 12
    for kind in ("Express", "Standard"):
        assert values["counts success", f"Step Functions {kind}", "states entered"] == 7
    assert values["faults", "Restate", "half-booked trips after 5 cancellations"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"results.json"}
    assert report.blocks(results).keys() >= {name for page in PAGES for _, name, *_ in BLOCK.findall(page.read_text())}
