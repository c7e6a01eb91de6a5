"""What the saved results say, as tables between markers in docs/comparison.md and README: `make bench` writes them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from localcloud.environment import ROOT

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "results.json"
PAGES = (ROOT / "README.md", ROOT / "docs" / "comparison.md")
BLOCK = re.compile(r"(<!-- (bench[ \w]*):begin -->\n)(.*?)(<!-- \2:end -->)", re.DOTALL)
TOTAL = "**total**"
SAGA = "lambdas/holiday/{}.py".format
STEPS = "comparison/step_functions/{}.py".format
SHARED = [*map(SAGA, ("aws", "messages", "services", "patterns"))]
SOURCES: dict[
    str, tuple[Sequence[str], Sequence[str]]
] = {  # what each version's lines are: the Restate version's files, then the state machine's
    "the workflow": (
        [*map(SAGA, ("trips", "saga", "failures", "handler_info", "retries", "trip_request"))],
        [STEPS("workflow"), STEPS("lambdas/trips")],
    ),
    "the services": (
        [
            *map(
                SAGA,
                ("flights", "cars", "payments", "bookings", "simulation", "serde", "notices", "notifications", "logs"),
            )
        ],
        [STEPS("lambdas/steps")],
    ),
    "the stack": (
        ["app.py", *(f"holiday_stack/{name}.py" for name in ("stack", "settings", "setting_names", "environments"))],
        [STEPS("app"), STEPS("stack")],
    ),
    "shared by both": (SHARED, SHARED),
}


def lines(directory: Path) -> Iterator[tuple[str, str, str, float]]:
    """Lines of code without comments, docstrings and blank lines; and resources, of the stacks that this cloud has."""
    count = import_module("pygount").SourceAnalysis.from_file
    for version, stack, sources in (("Restate", "HolidayStack", 0), ("Step Functions", "StepFunctionsStandard", 1)):
        parts = {
            part: sum(count(str(ROOT / path), "").code_count for path in SOURCES[part][sources]) for part in SOURCES
        }
        template = json.loads(next(directory.glob(f"cdk.out/*/{stack}.template.json")).read_text())
        parts |= {TOTAL: sum(parts.values()), "resources in the template": len(template["Resources"])}
        yield from (("lines", version, row, value) for row, value in parts.items())


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """Each block's text by the name of its markers: the tables, the README's summary, and how it was measured."""
    pandas = import_module("pandas")
    frame = pandas.DataFrame(results["values"], columns=["table", "column", "row", "value"])
    found: dict[str, Any] = {}
    for name, rows in frame.groupby("table", sort=False):
        pivot = rows.pivot(index="row", columns="column", values="value")
        found[name] = pivot.loc[rows["row"].unique(), rows["column"].unique()]
    prices = pandas.read_csv(HERE / "prices.csv", index_col="unit")
    cost = found["counts success"].reindex(prices.index).mul(prices["dollars"], axis=0)
    cost.loc[TOTAL] = cost.sum()
    cost["price in dollars"] = prices["dollars"].map("{:g} per ".format) + prices["per"] + ", " + prices["source"]
    total = cost.loc[[TOTAL], [*found["faults"]]].set_axis(["dollars per million trips, AWS's part"])
    counts = [
        found[f"counts {run_type}"].loc[units].rename(f"{{}}, {what}".format)
        for run_type, what, units in (
            ("success", "a booked trip", ["Lambda invocations", "states entered", "DynamoDB requests"]),
            ("failPayment", "`failPayment`", ["Lambda invocations"]),
        )
    ]
    booked = found["times"].filter(regex="^booked.*(median|trips/s)", axis=0)
    found |= {"trip": pandas.concat([*counts, found["times"]]), "cost": cost}
    found |= {"summary": pandas.concat([counts[0], booked, found["faults"], total])}
    texts = {f"bench {name}": _markdown(table) for name, table in found.items()}
    measured = "Measured on {date} by `make bench` in {seconds} s, {rounds} rounds in turns: {machine}.\n"
    return texts | {"bench measured": measured.format(**results["measured"])}


def _markdown(table: Any) -> str:
    return table.map(_shown).rename_axis(None).to_markdown(disable_numparse=True) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    digits = 0 if value >= 100 or value % 1 == 0 else 1 if value >= 10 else 2
    return "—" if value != value else f"{value:.2g}" if value < 1 else f"{value:,.{digits}f}"


def write() -> None:
    """Write what was saved into the pages."""
    texts = blocks(json.loads(RESULTS.read_text()))
    for page in PAGES:
        page.write_text(BLOCK.sub(lambda block: f"{block[1]}{texts[block[2]]}{block[4]}", page.read_text()))
