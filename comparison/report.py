"""What the saved results say, as tables and plots. The README and docs/comparison.md hold what this renders."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import plots, scale, tables
from localcloud.environment import ROOT

RESULTS = Path(__file__).parent / "results"


README, PAGE, SCALE = ROOT / "README.md", ROOT / "docs" / "comparison.md", ROOT / "docs" / "scale.md"


def summary(results: Mapping[str, Any]) -> str:
    """The README's table: counts first, which are exact, then times, which are of this emulator."""
    names, rows, engines = list(results["engines"]), list[list[str]](), tables.each_engine(results)

    def counted(title: str, run_type: str, count: str, shown: str = "{:g}") -> None:
        rows.append([title, *(tables.number(found["counts"][run_type].get(count), shown) for found in engines)])

    counted("Lambda invocations, a booked trip", "success", "lambda_invocations")
    counted("Lambda invocations, `failPayment`", "failPayment", "lambda_invocations")
    counted("state transitions, a booked trip", "success", "state_transitions")
    requests = [sum(found["counts"]["success"]["dynamodb_requests"].values()) for found in engines]
    rows.append(["DynamoDB requests, a booked trip", *(f"{number:g}" for number in requests)])
    for callers in ("1", "8", "32"):
        rows.append(
            [f"median ms to the answer, {callers} caller(s)", *tables.timed(results, "success", callers, "median_ms")]
        )
    rows.append(["trips still standing after 5 were cancelled", *(tables.cancelled(found) for found in engines)])
    owned = tables.owned(results)
    rows.append(["lines of code to own", *owned["code"]])
    rows.append(["… of which the workflow", *owned["workflow"]])
    rows.append(["resources in the template", *owned["resources"]])
    rows.append(
        ["dollars per million trips, AWS's part, example prices", *(tables.dollars(results, name) for name in names)]
    )
    plot = "![Milliseconds to the answer, by callers](comparison/results/latency.png)"
    return f"{tables.table(['', *names], rows)}\n\n{plot}\n\n{tables.caution(results)}\n"


def markdown(results: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# Step Functions beside Restate, measured",
        "What `make bench` measured last; it writes this page. The same saga, tables and statuses; the Step Functions "
        "version is in [`comparison/step_functions`](../comparison/step_functions), and passes the saga's contract "
        "tests but for what [its test](../tests/comparison/test_step_functions.py) lists.",
        tables.caution(results),
        "## Per trip, counted",
        *(tables.counted(results, run_type) for run_type in ("success", "failPayment")),
        "Restate's own units are invocations (the reservation, each step, each undo, the notice); a state machine's "
        "are states entered. Billed milliseconds are the emulator's; a front door is "
        "billed while it waits for its execution. The emulator adds about "
        f"{results['emulator']['empty_function_ms']:.0f} ms to every invocation.",
        "## Times",
        *(tables.times(results, run_type) for run_type in ("success", "failPayment")),
        f"The emulator itself takes {results['emulator']['empty_execution_ms']:.0f} ms for an execution that does "
        "nothing (it sleeps 150 ms before the first state), which AWS does not, and "
        f"{results['emulator']['empty_function_ms']:.0f} ms for a function that does nothing. The rows *less that* "
        "take both off: per execution once, per invocation that the caller waits for as often as there are. They are "
        "what is left of the engine, the functions' own work and DynamoDB. The notice and, in Restate, the undo come "
        "after the answer; trips per second count them.",
        "![Latency](../comparison/results/latency.png)",
        "![Throughput](../comparison/results/throughput.png)",
        "## One local process",
        tables.local_process(results),
        "## Cold",
        tables.cold(results),
        "A cold first trip is measured once per run, right after the deploy: nine functions start one after another, "
        "or four.",
        "## What a fault costs",
        tables.faults(results),
        "A crash is a function killed while it writes the car; a throttle is that write refused once; a cancel comes "
        "in the middle of each of the five steps in turn. Step Functions' shortest first retry is 1 s, which it may "
        "spread (the emulator does not); Restate's is 0.5 s here. Stopping an execution runs no Catch, so nothing is "
        "undone; an EXPRESS execution cannot be stopped at all.",
        "## What it is to own",
        tables.ownership(results),
        "Lines are counted by pygount, without comments, docstrings and blank lines. What both versions share "
        "(bundling, the defaults of a function) is counted for neither. The registration is "
        "made to be copied as it is.",
        tables.hotel(results),
        "## Money",
        tables.money(results),
        "Prices are inputs, in [`comparison/prices.toml`](../comparison/prices.toml), and **examples that nobody has "
        "verified**. Lambda's duration is the emulator's, and AWS's will differ. EXPRESS executions are charged for at "
        "least the time of their steps. Restate itself is not in its sum: a server of one's own costs what its "
        "machines cost, and the price of Restate Cloud is not known here.",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def limits(results: Mapping[str, Any]) -> str:
    """The tables of docs/scale.md."""
    found = scale.limits(results, scale.load_quotas())
    rows = [[what, takes, f"{rate:,.0f}"] for what, takes, rate in found]
    header = [
        "trips per second",
        "invocations per second",
        "functions running",
        "writes to each table",
        "Restate's cores",
    ]
    return (
        f"{tables.table(['what runs out', 'a trip takes', 'at trips per second'], rows)}\n\n"
        f"{tables.table(header, scale.demand(results))}\n"
    )


def rewrite(results: Mapping[str, Any]) -> None:
    """Write the page, and the blocks of the README and of docs/scale.md."""
    PAGE.write_text(markdown(results))
    for page, name, text in ((README, "bench", summary(results)), (SCALE, "scale", limits(results))):
        begin, end = _marks(name)
        before, after = page.read_text().split(begin)[0], page.read_text().split(end)[1]
        page.write_text(f"{before}{begin}\n{text}{end}{after}")


def block(page: Path, name: str) -> str:
    """What stands between a page's two marks of this name."""
    begin, end = _marks(name)
    return page.read_text().split(begin)[1].split(end)[0]


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def load(path: Path = RESULTS / "results.json") -> dict[str, Any]:
    return json.loads(path.read_text())


if __name__ == "__main__":  # render again what was saved
    saved = load()
    plots.plot(saved, RESULTS)
    rewrite(saved)
    sys.exit()
