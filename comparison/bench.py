"""`make bench`: the same saga on Restate and on Step Functions, side by side in fresh local clouds, and saved.

One cloud is for times, one for counts and faults: there DynamoDB is reached through a proxy, which would slow the
first. Counts are exact. Times are those of an emulator on a laptop: compare them within one run, never with AWS.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from comparison import cold, faults, money, ownership, plots, process, report
from comparison.booker import RUN_TYPES, BenchError, Booker, Turn
from comparison.engines import EMULATOR, deploy_restate, deploy_step_functions, fetch_libraries
from comparison.observe import Observer, calibrate
from comparison.proxy import DynamoDBProxy
from demo.cloud import HolidayCloud
from dependencies.output import accept_any_encoding
from localcloud.environment import LocalCloudError
from localcloud.ports import Ports
from localcloud.processes import INTERRUPTIONS
from localcloud.terminal import say, step

MEMORY = 14 * 10**9  # bytes that the emulator's processes come to with 32 callers: one that runs short hangs


@dataclass(frozen=True)
class Plan:
    """rounds: how often the engines take turns. trips: how many in each turn, by number of callers. counted: over
    how many trips counts are taken. struck: how many trips each fault strikes."""

    rounds: int = 5
    trips: dict[int, int] = field(default_factory=lambda: {1: 10, 8: 32, 32: 96})
    counted: int = 10
    struck: int = 3


SMOKE = Plan(rounds=1, trips={1: 2, 2: 4}, counted=2, struck=1)


def run(plan: Plan, directory: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """The whole benchmark, in clouds below `directory`. Returns what is saved. Raises BenchError."""
    fetch_libraries()
    results: dict[str, Any] = {"measured": _circumstances(plan), "engines": {}}
    found = results["engines"]

    cloud = HolidayCloud(directory / "times", Ports.free())
    cloud.step, cloud.emulator = step, EMULATOR
    with cloud:
        bookers = _deploy(cloud)
        for booker in bookers:
            begin = time.perf_counter()
            booker.turn("success", 1, 1)
            found[booker.engine.name] = {"cold_seconds": time.perf_counter() - begin}
            for run_type in RUN_TYPES:
                booker.turn(run_type, 2, 4)
        results["emulator"] = calibrate(cloud)
        for booker in bookers:
            note(f"counting: {booker.engine.name}")
            found[booker.engine.name]["counts"] = {
                run_type: _counts(booker, run_type, plan.counted) for run_type in RUN_TYPES
            }
        for name, latency in _latencies(bookers, plan, note).items():
            found[name]["latency"] = latency
        note("all four services in one local process")
        callers = max(plan.trips)

        def book(trips: int) -> None:
            bookers[0].turn("success", callers, trips)

        measured = process.measure(cloud, book, 3 * plan.trips[callers])
        results["local_process"] = {"callers": callers} | measured
        results["resources"] = ownership.resources(cloud.directory)

    with DynamoDBProxy() as proxy:
        cloud = HolidayCloud(directory / "faults", Ports.free())
        cloud.step, cloud.emulator = step, (*EMULATOR, "--dynamodb", proxy.url)
        proxy.target = cloud.aws_url
        with cloud:
            for booker in _deploy(cloud):
                name = booker.engine.name
                note(f"counting DynamoDB's requests, and breaking things: {name}")
                for run_type in RUN_TYPES:
                    booker.turn(run_type, 1, 2)
                    before = dict(proxy.counts)
                    booker.turn(run_type, 1, plan.counted)
                    found[name]["counts"][run_type]["dynamodb_requests"] = {
                        operation: (count - before.get(operation, 0)) / plan.counted
                        for operation, count in sorted(proxy.counts.items())
                        if count > before.get(operation, 0)
                    }
                found[name]["faults"] = faults.measure(booker, proxy, plan.struck)

    results["functions"] = cold.functions()
    results["ownership"] = ownership.lines()
    results["hotel"] = ownership.hotel()
    return results


def _deploy(cloud: HolidayCloud) -> list[Booker]:
    engines = [deploy_restate(cloud), *(deploy_step_functions(cloud, kind) for kind in ("EXPRESS", "STANDARD"))]
    return [Booker(engine, Observer(cloud, engine)) for engine in engines]


def _counts(booker: Booker, run_type: str, trips: int) -> dict[str, float]:
    """Per trip, over so many: what Lambda and the engine were asked to do."""
    before = booker.observer.snapshot()
    booker.turn(run_type, 1, trips)
    after = booker.observer.snapshot()
    return {name: (after[name] - before[name]) / trips for name in after}


def _latencies(bookers: Sequence[Booker], plan: Plan, note: Callable[[str], None]) -> dict[str, Any]:
    turns: dict[tuple[str, str, int], list[Turn]] = {}
    for callers, trips in plan.trips.items():
        for booker in bookers:  # functions scale out before anything is timed
            booker.turn("success", callers, callers * 2)
            booker.turn("failPayment", callers, callers * 2)
        for round_ in range(plan.rounds):
            for run_type in RUN_TYPES:
                order = [*bookers[round_ % len(bookers) :], *bookers[: round_ % len(bookers)]]
                for booker in order:
                    note(f"{callers} caller(s), round {round_ + 1} of {plan.rounds}, {run_type}: {booker.engine.name}")
                    key = (booker.engine.name, run_type, callers)
                    turns.setdefault(key, []).append(booker.turn(run_type, callers, trips))
    latencies: dict[str, Any] = {}
    for (name, run_type, callers), found in turns.items():
        latencies.setdefault(name, {}).setdefault(run_type, {})[str(callers)] = _summary(found)
    return latencies


def _summary(turns: Sequence[Turn]) -> dict[str, Any]:
    answers = sorted(seconds * 1000 for turn in turns for seconds in turn.answers)
    medians = [statistics.median(turn.answers) * 1000 for turn in turns]
    rates = [len(turn.answers) / turn.seconds for turn in turns]
    return {
        "trips": len(answers),
        "median_ms": statistics.median(answers),
        "p99_ms": answers[min(len(answers) - 1, int(len(answers) * 0.99))],
        "median_of_rounds_ms": [min(medians), max(medians)],
        "trips_per_second": statistics.median(rates),
        "trips_per_second_of_rounds": [min(rates), max(rates)],
    }


def _circumstances(plan: Plan) -> dict[str, Any]:
    packages = ("restate-sdk", "ministack", "boto3", "aws-cdk-lib")
    return {
        "on": time.strftime("%Y-%m-%d"),
        "cpus": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in packages},
        "rounds": plan.rounds,
        "trips_per_turn": {str(callers): trips for callers, trips in plan.trips.items()},
    }


@contextmanager
def _progress() -> Any:
    with step("Benchmark") as note:
        begin = time.monotonic()
        latest = [""]

        def tell(what: str) -> None:
            note(what)
            if not sys.stdout.isatty() and what.split(",")[0] != latest[0]:
                latest[0] = what.split(",")[0]
                say(f"  {time.monotonic() - begin:5.0f} s  {what}")

        yield tell


def main() -> int:
    accept_any_encoding()
    parser = argparse.ArgumentParser(prog="python -m comparison.bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few trips only, to see that it works")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="where the JSON and the plots go")
    arguments = parser.parse_args()
    if not arguments.smoke and psutil.virtual_memory().available < MEMORY:
        say(f"✗ The benchmark needs {MEMORY // 10**9} GB of free memory: the emulator keeps a process for each request")
        say('  at a time to each function. A few trips need little: make bench BENCH="--smoke --results DIRECTORY".')
        return 1
    for signum in INTERRUPTIONS:
        signal.signal(signum, _interrupt)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="holiday-bench-", ignore_cleanup_errors=True) as directory,
            _progress() as tell,
        ):
            results = run(SMOKE if arguments.smoke else Plan(), Path(directory), tell)
    except (BenchError, LocalCloudError) as error:
        say(f"✗ {error}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    results["money"] = money.table(results["engines"])
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    plots.plot(results, arguments.results)
    say(report.markdown(results))
    if not arguments.smoke:
        report.rewrite(results)
    return 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
