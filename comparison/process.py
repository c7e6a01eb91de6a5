"""What a trip costs when all four services run in one local process: the CPU of each process, and how busy it is."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from demo import serve
from demo.cloud import HolidayCloud
from localcloud.admin import Admin
from localcloud.environment import ROOT, LocalCloudError
from localcloud.ports import Ports

SERVICES, RESTATE, EMULATOR = "the services", "restate-server", "MiniStack"
WHO = {"holiday.local": SERVICES, "restate-server": RESTATE, ".emulator": EMULATOR}


def measure(cloud: HolidayCloud, book: Callable[[int], None], trips: int) -> dict[str, Any]:
    """Serve the services from one process while `book` books so many trips, twice: warm, then measured.

    Returns trips_per_second; for each process, cpu_ms per trip and the share of one CPU that it kept busy; and
    calls_cpu_ms, which a trip's calls to AWS take of a process that does nothing else.
    """
    admin = Admin(cloud.admin_url)
    log = Path(cloud.directory) / "logs" / "services.log"
    with log.open("ab") as output:
        services = serve.services(cloud, Ports.free().ingress, output)
        try:
            if not services.start():
                raise LocalCloudError(f"The services did not start; their log is {log}.")
            admin.register({"uri": services.url})
            book(trips)
            before, begin = _cpu_seconds(cloud.run_id()), time.perf_counter()
            book(trips)
            seconds = time.perf_counter() - begin
            used = {who: after - before[who] for who, after in _cpu_seconds(cloud.run_id()).items()}
            calls = _calls_cpu_ms(services.environment, trips)
        finally:
            admin.register_versions(cloud.versions().values())
            services.stop()
    if not all(used.values()):
        raise LocalCloudError(f"A process was not found: {used}.")
    processes = {who: {"cpu_ms": cpu / trips * 1000, "busy": cpu / seconds} for who, cpu in used.items()}
    return {"trips_per_second": trips / seconds, "processes": processes, "calls_cpu_ms": calls}


def _calls_cpu_ms(environment: Mapping[str, str], trips: int) -> float:
    command = [sys.executable, "-m", "comparison.calls", str(trips)]
    return float(subprocess.check_output(command, cwd=ROOT, env=environment, text=True))


def _cpu_seconds(mark: Mapping[str, str]) -> dict[str, float]:
    found = dict.fromkeys(WHO.values(), 0.0)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = " ".join(process.cmdline())
            who = next((WHO[part] for part in WHO if part in command), None)
            if who and "_worker" not in command and mark.items() <= process.environ().items():
                times = process.cpu_times()
                found[who] += times.user + times.system
    return found
