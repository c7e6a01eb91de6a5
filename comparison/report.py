"""What the saved results say, as tables and plots. The README and docs/comparison.md hold what this renders."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from comparison import scale
from localcloud.environment import ROOT

RESULTS = Path(__file__).parent / "results"
README, PAGE, SCALE = ROOT / "README.md", ROOT / "docs" / "comparison.md", ROOT / "docs" / "scale.md"
COLOURS = {"Restate": "#5b5bd6", "Step Functions Express": "#e5873c", "Step Functions Standard": "#b0483a"}


def summary(results: Mapping[str, Any]) -> str:
    """The README's table: counts first, which are exact, then times, which are of this emulator."""
    names, rows = list(results["contenders"]), list[list[str]]()

    def counted(title: str, run_type: str, count: str, shown: str = "{:g}") -> None:
        rows.append([title, *(_number(found["counts"][run_type].get(count), shown) for found in _all(results))])

    counted("Lambda invocations, a booked trip", "success", "lambda_invocations")
    counted("Lambda invocations, `failPayment`", "failPayment", "lambda_invocations")
    counted("state transitions, a booked trip", "success", "state_transitions")
    requests = [sum(found["counts"]["success"]["dynamodb_requests"].values()) for found in _all(results)]
    rows.append(["DynamoDB requests, a booked trip", *(f"{number:g}" for number in requests)])
    for callers in ("1", "8", "32"):
        rows.append(
            [f"median ms to the answer, {callers} caller(s)", *_timed(results, "success", callers, "median_ms")]
        )
    rows.append(["trips still standing after 5 were cancelled", *(_cancelled(found) for found in _all(results))])
    owned = _owned(results)
    rows.append(["lines of code to own", *owned["code"]])
    rows.append(["… of which the workflow", *owned["workflow"]])
    rows.append(["resources in the template", *owned["resources"]])
    rows.append(["dollars per million trips, AWS's part, example prices", *(_dollars(results, name) for name in names)])
    plot = "![Milliseconds to the answer, by callers](comparison/results/latency.png)"
    return f"{_table(['', *names], rows)}\n\n{plot}\n\n{_caution(results)}\n"


def markdown(results: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# Step Functions beside Restate, measured",
        "What `make bench` measured last; it writes this page. The same saga, tables and statuses; the Step Functions "
        "version is in [`comparison/step_functions`](../comparison/step_functions), and passes the saga's contract "
        "tests but for what [its test](../tests/comparison/test_step_functions.py) lists.",
        _caution(results),
        "## Per trip, counted",
        *(_counted(results, run_type) for run_type in ("success", "failPayment")),
        "Restate's own units are invocations (the reservation, each step, each undo, the notice); a state machine's "
        "are states entered. Billed milliseconds are the emulator's; a front door is "
        "billed while it waits for its execution. The emulator adds about "
        f"{results['emulator']['empty_function_ms']:.0f} ms to every invocation.",
        "## Times",
        *(_times(results, run_type) for run_type in ("success", "failPayment")),
        f"The emulator itself takes {results['emulator']['empty_execution_ms']:.0f} ms for an execution that does "
        "nothing (it sleeps 150 ms before the first state), which AWS does not, and "
        f"{results['emulator']['empty_function_ms']:.0f} ms for a function that does nothing. The rows *less that* "
        "take both off: per execution once, per invocation that the caller waits for as often as there are. They are "
        "what is left of the engine, the functions' own work and DynamoDB. The notice and, in Restate, the undo come "
        "after the answer; trips per second count them.",
        "![Latency](../comparison/results/latency.png)",
        "![Throughput](../comparison/results/throughput.png)",
        "## One local process",
        _local_process(results),
        "## Cold",
        _cold(results),
        "A cold first trip is measured once per run, right after the deploy: nine functions start one after another, "
        "or four.",
        "## What a fault costs",
        _faults(results),
        "A crash is a function killed while it writes the car; a throttle is that write refused once; a cancel comes "
        "in the middle of each of the five steps in turn. Step Functions' shortest first retry is 1 s, which it may "
        "spread (the emulator does not); Restate's is 0.5 s here. Stopping an execution runs no Catch, so nothing is "
        "undone; an EXPRESS execution cannot be stopped at all.",
        "## What it is to own",
        _ownership(results),
        "Lines are counted by pygount, without comments, docstrings and blank lines. What both versions share "
        "(bundling, the defaults of a function) is counted for neither. The registration is "
        "made to be copied as it is.",
        _hotel(results),
        "## Money",
        money(results),
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
        f"{_table(['what runs out', 'a trip takes', 'at trips per second'], rows)}\n\n"
        f"{_table(header, scale.demand(results))}\n"
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


def plot(results: Mapping[str, Any], directory: Path) -> None:
    """latency.png and throughput.png: what the tables say, by number of callers."""
    import_module("matplotlib").use("agg")
    pyplot = import_module("matplotlib.pyplot")
    names = list(results["contenders"])
    for file, title, median, spread in (
        ("latency", "ms to the answer: median (bar), median of each round (line)", "median_ms", "median_of_rounds_ms"),
        ("throughput", "trips per second", "trips_per_second", "trips_per_second_of_rounds"),
    ):
        figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
        for panel, run_type in zip(axes, ("success", "failPayment"), strict=True):
            for place, name in enumerate(names):
                latency = results["contenders"][name]["latency"][run_type]
                found = list(latency.values())
                heights = [turn[median] for turn in found]
                below = [max(0, turn[median] - turn[spread][0]) for turn in found]
                above = [max(0, turn[spread][1] - turn[median]) for turn in found]
                at = [index + (place - 1) * 0.27 for index in range(len(found))]
                panel.bar(at, heights, 0.25, yerr=(below, above), color=COLOURS[name], label=name, capsize=2)
                panel.set_xticks(range(len(found)), [f"{callers} caller(s)" for callers in latency])
            panel.set_title(run_type)
            panel.spines[["top", "right"]].set_visible(False)
        axes[0].legend(frameon=False, fontsize=8)
        figure.suptitle(f"{title} (emulator, {results['measured']['cpus']} CPUs)", fontsize=10)
        figure.savefig(directory / f"{file}.png", dpi=110, metadata={"Software": None})
        pyplot.close(figure)


def _all(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(results["contenders"].values())


def _caution(results: Mapping[str, Any]) -> str:
    measured = results["measured"]
    return (
        f"Measured on {measured['on']} by `make bench`: {measured['rounds']} rounds in turns, {measured['cpus']} CPUs, "
        f"{measured['system']}, ministack {measured['versions']['ministack']}. Counts are exact. Times are those of an "
        "emulator, not of AWS, and bear comparison within this table only: the emulator sleeps 150 ms in every Step "
        "Functions execution, and runs the state machine and all else in one Python process."
    )


def _counted(results: Mapping[str, Any], run_type: str) -> str:
    title = {"success": "a booked trip", "failPayment": "`failPayment`"}[run_type]
    rows = [
        [words, *(_number(found["counts"][run_type].get(count), "{:g}") for found in _all(results))]
        for words, count in (
            ("Lambda invocations", "lambda_invocations"),
            ("billed ms (emulator)", "billed_ms"),
            ("state transitions", "state_transitions"),
            ("Restate invocations", "restate_invocations"),
        )
    ]
    operations = [found["counts"][run_type]["dynamodb_requests"] for found in _all(results)]
    detail = [
        f"{sum(found.values()):g} ({', '.join(f'{n:g} {name}' for name, n in found.items())})" for found in operations
    ]
    rows.append(["DynamoDB requests", *detail])
    return _table([title, *results["contenders"]], rows)


def _times(results: Mapping[str, Any], run_type: str) -> str:
    rows: list[list[str]] = []
    for callers in _all(results)[0]["latency"][run_type]:
        rows.append([f"{callers} caller(s): median ms", *_timed(results, run_type, callers, "median_ms")])
        if callers == "1":
            rows.append(["… less that of the emulator", *_net(results, run_type)])
        rows.append(["… of rounds", *_spread(results, run_type, callers, "median_of_rounds_ms", "{:.0f}")])
        rows.append(["… p99 ms", *_timed(results, run_type, callers, "p99_ms")])
        rows.append(["… trips/s", *_timed(results, run_type, callers, "trips_per_second", "{:.1f}")])
        rows.append(["… of rounds", *_spread(results, run_type, callers, "trips_per_second_of_rounds", "{:.1f}")])
    title = {"success": "a booked trip", "failPayment": "`failPayment`"}[run_type]
    return _table([title, *results["contenders"]], rows)


# Invocations after the answer: Restate's notice and undo. All others are waited for, one after another.
AFTERWARDS = {"success": 1, "failPayment": 4}


def _net(results: Mapping[str, Any], run_type: str) -> list[str]:
    emulator, shown = results["emulator"], list[str]()
    for name, found in results["contenders"].items():
        invocations = found["counts"][run_type]["lambda_invocations"]
        waited = invocations - AFTERWARDS[run_type] if name == "Restate" else invocations - 1  # the front door waits
        fixed = waited * emulator["empty_function_ms"] + (0 if name == "Restate" else emulator["empty_execution_ms"])
        shown.append(f"{found['latency'][run_type]['1']['median_ms'] - fixed:.0f}")
    return shown


def _timed(results: Mapping[str, Any], run_type: str, callers: str, what: str, shown: str = "{:.0f}") -> list[str]:
    return [_number(found["latency"][run_type].get(callers, {}).get(what), shown) for found in _all(results)]


def _spread(results: Mapping[str, Any], run_type: str, callers: str, what: str, shown: str) -> list[str]:
    found = [contender["latency"][run_type][callers][what] for contender in _all(results)]
    return [f"{shown.format(low)} to {shown.format(high)}" for low, high in found]


def _local_process(results: Mapping[str, Any]) -> str:
    found = results["local_process"]
    rows = [[who, f"{used['cpu_ms']:.1f}", f"{used['busy']:.2f}"] for who, used in found["processes"].items()]
    return (
        f"The four services in one process (`make serve`), {found['callers']} callers: "
        f"{found['trips_per_second']:.0f} trips per second, notices included. Who has how much to do:\n\n"
        f"{_table(['', 'CPU ms per trip', 'CPUs kept busy'], rows)}\n\n"
        f"A trip's seven calls to AWS, made by a process that does nothing else, take that process "
        f"{found['calls_cpu_ms']:.1f} ms: boto3's work. {_limit(found)} A sampling profile of the services shows, "
        "beside boto3, an HTTP/2 server and Restate's SDK, all in Python, and next to nothing of the saga's own code."
    )


def _limit(found: Mapping[str, Any]) -> str:
    if found["calls_cpu_ms"] < found["processes"]["MiniStack"]["cpu_ms"]:
        return "The emulator takes longer to answer them."
    return (
        "The emulator takes less to answer them, so it is not what these services wait for: calling it costs them more "
        "of the CPU than being called costs the emulator, whatever else they do or do not do."
    )


def _cold(results: Mapping[str, Any]) -> str:
    first = [f"{name}: {found['cold_seconds']:.1f} s" for name, found in results["contenders"].items()]
    rows = [
        [found["engine"], f"`{found['function']}`", f"{found['import_ms']:.0f}", f"{found['unpacked_mb']:.1f}",
         f"{found['zipped_mb']:.1f}"]
        for found in results["functions"]
    ]  # fmt: skip
    functions = _table(["", "function", "imports and client, ms", "package MB", "zipped MB"], rows)
    return f"First trip after the deploy: {'; '.join(first)}.\n\n{functions}"


def _faults(results: Mapping[str, Any]) -> str:
    rows: list[list[str]] = []
    for fault in ("undisturbed", "crash", "throttle"):
        faults = [found["faults"][fault] for found in _all(results)]
        cells = [f"{found['median_ms']:.0f} ms, {found['lambda_invocations']:g} invocations" for found in faults]
        rows.append([fault, *cells])
    rows.append(["cancelled, and something still stands", *(_cancelled(found) for found in _all(results))])
    return _table(["", *results["contenders"]], rows)


def _cancelled(found: Mapping[str, Any]) -> str:
    cancel = found["faults"]["cancel"]
    return f"{cancel['left_something_standing']} of {cancel['trips']}" if cancel else "cannot be cancelled"


def _owned(results: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each contender: all lines, the workflow's, and the template's resources."""
    owned: dict[str, list[str]] = {"code": [], "workflow": [], "resources": []}
    stacks = {"Restate": "HolidayStack", "Express": "StepFunctionsExpress", "Standard": "StepFunctionsStandard"}
    for name in results["contenders"]:
        engine = "Restate" if name == "Restate" else "Step Functions"
        owned["code"].append(str(sum(part[engine]["code"] for part in results["ownership"].values())))
        owned["workflow"].append(str(results["ownership"]["the workflow"][engine]["code"]))
        owned["resources"].append(str(sum(results["resources"][stacks[name.split()[-1]]].values())))
    return owned


def _ownership(results: Mapping[str, Any]) -> str:
    engines = ("Restate", "Step Functions")
    rows = [
        [part, *(f"{found[engine]['code']} in {found[engine]['files']} files" for engine in engines)]
        for part, found in results["ownership"].items()
    ]
    totals = [
        [sum(found[engine][what] for found in results["ownership"].values()) for what in ("code", "files")]
        for engine in engines
    ]
    rows.append(["**in all**", *(f"**{code}** in {files} files" for code, files in totals)])
    stacks = ("HolidayStack", "StepFunctionsStandard")
    rows.append(["resources in the template", *(str(sum(results["resources"][stack].values())) for stack in stacks)])
    functions = [str(results["resources"][stack].get("AWS::Lambda::Function", 0)) for stack in stacks]
    rows.append(["… of which functions", f"{functions[0]}, the registration's included", functions[1]])
    return _table(["lines of code", *engines], rows)


def _hotel(results: Mapping[str, Any]) -> str:
    engines = ("Restate", "Step Functions")
    found = [results["hotel"][engine] for engine in engines]
    rows = [
        [words, *(str(count[key]) for count in found)]
        for words, key in (
            ("files to edit or add", "files"),
            ("places", "places"),
            ("lines added", "lines_added"),
            ("lines removed", "lines_removed"),
        )
    ]
    return _table(["adding a hotel step, done once in both", *engines], rows)


def money(results: Mapping[str, Any]) -> str:
    costs: Mapping[str, Any] = results["money"]
    names = list(results["contenders"])
    services = list(dict.fromkeys(service for name in names for service in costs[name]))
    rows = [[service, *(_dollars_for(costs[name], service) for name in names)] for service in services]
    rows.append(["**in all, AWS's part**", *(f"**{_dollars(results, name)}**" for name in names)])
    own = costs["Restate, a server of one's own"]
    server = ", ".join(f"{dollars:.2f} {load}" for load, dollars in own.items())
    return (
        f"{_table(['dollars per million booked trips', *names], rows)}\n\n"
        f"A Restate server of one's own, on top, per million trips: {server}."
    )


def _dollars_for(costs: Mapping[str, float | None], service: str) -> str:
    return _number(costs[service], "{:.2f}", "not known") if service in costs else "—"


def _dollars(results: Mapping[str, Any], name: str) -> str:
    return f"{sum(cost for cost in results['money'][name].values() if cost is not None):.2f}"


def _number(value: float | None, shown: str, missing: str = "—") -> str:
    return missing if value is None else shown.format(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def load(path: Path = RESULTS / "results.json") -> dict[str, Any]:
    return json.loads(path.read_text())


if __name__ == "__main__":  # render again what was saved
    saved = load()
    plot(saved, RESULTS)
    rewrite(saved)
    sys.exit()
