"""`make chaos`: books many trips with mixed faults and checks the invariant on everything that they leave.

`--plan` instead runs one plan, as printed by a failed test.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

from dependencies.output import accept_any_encoding
from localcloud.ports import Ports
from localcloud.processes import INTERRUPTIONS
from tests.faults.harness import CloudBehindProxy, Harness, count
from tests.faults.invariant import Reservation
from tests.faults.plans import Plan, draw
from tests.faults.proxy import Proxy

AT_ONCE = 64


async def chaos(harness: Harness, number: int, seed: int) -> list[str]:
    """Book trips, 64 at a time, and kill the Restate server now and then. Returns the violations of the invariant."""
    pick, run_id = random.Random(seed), uuid.uuid4().hex[:8]
    trips = {f"{run_id}-{n}": draw(pick, rarity=60) for n in range(number)}
    kills = sorted(pick.sample(range(number), number // 4000))
    harness.play(trips)
    waiting, made, begin = iter(trips.items()), list[Reservation](), time.monotonic()
    started = 0

    async def caller() -> None:
        nonlocal started
        for trip_id, trip in waiting:
            started += 1
            if kills and started >= kills[0]:
                kills.pop(0)
                harness.proxy.fired["SIGKILL of restate-server"] += 1
                await asyncio.to_thread(harness.cloud.restart_restate)
            made.extend(await harness.book(trip_id, trip))

    async def progress() -> None:
        while True:
            await asyncio.sleep(2)
            say(f"{started} of {number} trips, {sum(harness.proxy.fired.values())} faults", end="\r")

    ticking = asyncio.create_task(progress())
    try:
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    finally:
        ticking.cancel()
    say(f"{number} trips, {len(made)} reservations: waiting for the last compensation and notice")
    found = await harness.check(run_id, trips, made)
    report(harness, made, number, time.monotonic() - begin)
    return found


def report(harness: Harness, made: list[Reservation], number: int, seconds: float) -> None:
    say(f"\n{number} trips in {seconds:.0f} s: {len(made)} reservations, ", end="")
    answers = count(made)
    say(f"{answers[200]} booked, {answers[422]} rolled back, {answers[409]} refused as duplicates")
    say(f"{sum(harness.proxy.calls.values())} calls to AWS, {harness.proxy.retries} of them retries")
    say("Faults fired:")
    for fault, times in sorted(harness.proxy.fired.items()):
        say(f"  {times:6}  {fault}")


def say(line: str, end: str = "\n") -> None:
    print(line, end=end, flush=True)


async def run(arguments: argparse.Namespace, directory: Path) -> list[str]:
    ports = Ports.free()
    async with Proxy(ports.aws) as proxy:
        with CloudBehindProxy(directory, ports, proxy) as cloud:
            if arguments.on_lambda:
                say("Deploying the stack")
                harness = Harness(cloud, await asyncio.to_thread(cloud.deploy), proxy)
                return await _play(harness, arguments)
            harness = Harness.in_one_process(cloud, proxy)
            services = harness.serve()
            try:
                return await _play(harness, arguments)
            finally:
                services.end()


async def _play(harness: Harness, arguments: argparse.Namespace) -> list[str]:
    if arguments.plan:
        return await harness.run(Plan.from_json(arguments.plan))
    return await chaos(harness, arguments.trips, arguments.seed)


def main() -> None:
    accept_any_encoding()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--trips", type=int, default=20_000, help="how many trips to book (default: 20000)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="the seed of the faults (default: random)"
    )
    parser.add_argument("--plan", help="run this plan (JSON) once instead")
    parser.add_argument(
        "--on-lambda",
        action="store_true",
        help="run the services on Lambda in the local cloud instead of in one process",
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the shell ignores it
    for signum in set(INTERRUPTIONS) - {signal.SIGINT}:
        signal.signal(signum, _end_as_ctrl_c_does)
    if not arguments.plan:
        say(f"{arguments.trips} trips with mixed faults, drawn from --seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory, suppress(KeyboardInterrupt):
        found = asyncio.run(run(arguments, Path(directory)))
        for violation in found:
            say(violation)
        say(f"Violations: {len(found)}")
        sys.exit(bool(found))
    sys.exit("Interrupted. Everything it had started is stopped.")


def _end_as_ctrl_c_does(*_: object) -> None:
    """Stop this run and everything it has started."""
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
