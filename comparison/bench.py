"""`make bench`: the same saga on Restate and on Step Functions, side by side in one local cloud, measured and saved.

Counts are exact. Times are those of an emulator: compare them within one run, never with AWS. All functions reach
DynamoDB through the proxy of tests/faults, which counts requests and injects each fault at a chosen one.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import httpx
import psutil

from comparison import report
from comparison.engines import EMULATOR, STATUSES, BenchError, Engine, deploy_step_functions
from dependencies.output import accept_any_encoding
from localcloud.environment import LocalCloudError
from localcloud.ports import Ports
from localcloud.terminal import say, step
from tests.faults.calls import AwsCall
from tests.faults.harness import CloudBehindProxy
from tests.faults.proxy import Proxy
from tests.speed import cpu, local, start

MEMORY_GB = 5  # the emulator runs a process for each of 8 requests to each function, and hangs if memory runs out
WRITE_UNITS = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "TransactWriteItems": 4}  # two rows, two units each
STEPS = ("flights.reserve", "cars.reserve", "payments.process", "flights.confirm", "cars.confirm")
Value = tuple[str, str, str, float | str]
"""Of one cell: its table, column, row, and what was measured."""


@dataclass(frozen=True)
class Workload:
    """rounds: how often the engines take turns. trips: how many in each turn, by number of callers.

    counted: how many trips the counts are means of. crashes: how many trips of each engine lose a function.
    local: as `trips`, for each local process.
    """

    rounds: int = 3
    trips: Mapping[int, int] = field(default_factory=lambda: {1: 8, 8: 40})
    counted: int = 5
    crashes: int = 3
    local: Mapping[int, int] = field(default_factory=lambda: local.TRIPS)


SMOKE = Workload(rounds=1, trips={1: 2, 2: 4}, counted=2, crashes=1, local={1: 2, 32: 32})


def run(workload: Workload, directory: Path) -> Iterator[Value]:
    """The whole benchmark, in a cloud in `directory`. Raises BenchError."""
    with _proxied(directory) as cloud:
        engines = [Engine(cloud, cloud.deploy()), *deploy_step_functions(cloud)]
        with step(
            f"Counting what {workload.counted} trips take, crashing {workload.crashes} and cancelling {len(STEPS)}"
        ) as note:
            for engine in engines:
                for run_type in STATUSES:
                    note(f"{run_type}: {engine.name}")
                    engine.turn(run_type, 2, 4)  # the functions start
                    yield from _count(engine, run_type, workload.counted, cloud.proxy)
                yield from _break(engine, workload.crashes, cloud.proxy)
        with step(f"Timing {workload.rounds} rounds with {', '.join(map(str, workload.trips))} callers") as note:
            for run_type in STATUSES:
                for callers, trips in workload.trips.items():
                    yield from _time(engines, run_type, callers, trips, workload.rounds, note)
        yield from report.lines(directory)
    with step("Measuring one local process, also in TypeScript"):
        ratios = local.measure(workload.rounds, workload.local)
        cpu_ratio = ratios.pop("cpu")
        yield (
            "services",
            "ratio",
            "CPU of a booked trip in one local process, against a saga that does nothing",
            cpu_ratio,
        )
        for callers, ratio in ratios.items():
            row = f"trips/s of one local process, {callers}, against restate-holiday in TypeScript"
            yield "services", "ratio", row, ratio
    with step("Measuring the CPU on Lambda"):
        yield (
            "services",
            "ratio",
            "CPU of a booked trip on Lambda, against a saga that does nothing",
            cpu.measure()["ratio"],
        )
    with step("Measuring cold starts"):
        for function, ratio in start.measure().items():
            yield "services", "ratio", f"cold start of `{function}`, against `import restate` and a client", ratio


@contextmanager
def _proxied(directory: Path) -> Generator[CloudBehindProxy]:
    """A cloud whose proxy lives in a thread. Restate calls Lambda directly, as the state machines do."""
    ports, loop = Ports.free(), asyncio.new_event_loop()
    Thread(target=loop.run_forever, daemon=True).start()
    proxy = asyncio.run_coroutine_threadsafe(Proxy(ports.aws).__aenter__(), loop).result()
    cloud = CloudBehindProxy(directory, ports, proxy)
    cloud.restate_settings, cloud.emulator, cloud.step = {}, EMULATOR, step
    with cloud:
        yield cloud


def _count(engine: Engine, run_type: str, trips: int, proxy: Proxy) -> Iterator[Value]:
    requested, before = proxy.operations.copy(), engine.counts()
    engine.turn(run_type, 1, trips)
    found = {unit: (count - before[unit]) / trips for unit, count in engine.counts().items()} | {"SNS publishes": 1}
    asked = {operation: count / trips for operation, count in (proxy.operations - requested).items()}
    found["DynamoDB requests"] = sum(asked.values())
    found["DynamoDB read units"] = asked.get("Query", 0) + asked.get("GetItem", 0)
    found["DynamoDB write units"] = sum(WRITE_UNITS.get(operation, 0) * count for operation, count in asked.items())
    yield from ((f"counts {run_type}", engine.name, unit, count) for unit, count in found.items())


def _break(engine: Engine, crashes: int, proxy: Proxy) -> Iterator[Value]:
    """What a crash and a cancellation leave: how many trips are neither booked nor rolled back completely."""

    async def cancel(_trip_id: str) -> None:
        await asyncio.to_thread(engine.cancel)

    def inject(fault: str, name: str) -> tuple[bool, float]:
        def decide(call: AwsCall) -> str | None:
            return fault if (call.name, call.attempt) == (name, 1) else None

        proxy.decide, proxy.cancel, before = decide, cancel, proxy.fired[fault]
        answer, seconds = engine.book("success", trip_id := f"{fault.replace(' ', '-')}-{time.time_ns()}")
        engine.settle()
        proxy.decide = lambda _: None
        if proxy.fired[fault] == before:
            raise BenchError(f"{engine.name} never made the call at which {fault!r} was to happen: {name}.")
        statuses = [status for found in engine.statuses(trip_id).values() for status in found]
        live = sum(status in ("pending", "confirmed") for status in statuses)
        return live != (3 if answer.status_code == 200 else 0), seconds * 1000

    crashed = [inject("crash before", "cars.reserve") for _ in range(crashes)]
    cancelled = [inject("cancel before", name)[0] for name in STEPS if engine.can_cancel]
    half = "half-booked trips after"
    yield "faults", engine.name, f"{half} {crashes} crashes", sum(broken for broken, _ in crashed)
    yield "faults", engine.name, "ms to the answer after a crash", statistics.median(ms for _, ms in crashed)
    left = sum(cancelled) if engine.can_cancel else "cannot be cancelled"
    yield "faults", engine.name, f"{half} {len(STEPS)} cancellations", left


def _time(
    engines: Sequence[Engine], run_type: str, callers: int, trips: int, rounds: int, note: Callable[[str], None]
) -> Iterator[Value]:
    for engine in engines:  # functions scale out before anything is timed
        engine.turn(run_type, callers, 2 * callers)
    turns: dict[str, list[tuple[list[float], float]]] = {engine.name: [] for engine in engines}
    for number in range(rounds):
        for engine in [*engines[number % len(engines) :], *engines[: number % len(engines)]]:
            note(f"{run_type}, {callers} callers, round {number + 1}: {engine.name}")
            turns[engine.name].append(engine.turn(run_type, callers, trips))
    trip = ("booked trip" if run_type == "success" else f"`{run_type}`") + f", callers: {callers}"
    for name, found in turns.items():
        answers = sorted(seconds * 1000 for each, _ in found for seconds in each)
        yield "times", name, f"{trip}; median ms", _ranged([statistics.median(each) * 1000 for each, _ in found])
        if run_type == "success":
            yield "times", name, f"{trip}; p99 ms", answers[int(len(answers) * 0.99)]
        yield "times", name, f"{trip}; trips/s", _ranged([len(each) / seconds for each, seconds in found])


def _ranged(values: Sequence[float]) -> str:
    """The median of the rounds, and their range."""
    digits = 0 if min(values) >= 100 else 1
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> int:
    accept_any_encoding()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a few trips only, to see that it works")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="the file to save")
    arguments = parser.parse_args()
    if not arguments.smoke and psutil.virtual_memory().available < MEMORY_GB * 10**9:
        say(f"✗ The benchmark needs {MEMORY_GB} GB of free memory.")
        return 1
    begin, workload = time.monotonic(), SMOKE if arguments.smoke else Workload()
    try:
        with tempfile.TemporaryDirectory(prefix="holiday-bench-", ignore_cleanup_errors=True) as directory:
            values = list(run(workload, Path(directory)))
    except (BenchError, LocalCloudError, AssertionError, httpx.HTTPError) as error:
        say(f"✗ {error}")
        return 1
    packages = ", ".join(f"{name} {version(name)}" for name in ("restate-sdk", "ministack", "boto3"))
    measured = {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - begin),
        "rounds": workload.rounds,
    }
    measured["machine"] = f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, {packages}"
    rows = ",\n".join(map(json.dumps, values))
    arguments.results.write_text(f'{{"measured": {json.dumps(measured)},\n"values": [\n{rows}\n]}}\n')
    if arguments.results == report.RESULTS:
        report.write()
    say(f"Measured in {measured['seconds']} s; saved as {arguments.results}, the source of the pages' tables.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
