"""What a cold start pays for: the package to load, and the imports up to the first client of an AWS service."""

import os
import statistics
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from comparison.engines import STEP_FUNCTIONS
from holiday_stack import bundling
from localcloud.environment import REGION

DYNAMODB = "; from holiday import aws; aws.dynamodb()"
RESTATE = {
    "trips": "import holiday.trips",  # the reservation itself uses no client; only the notice does
    "flights": f"import holiday.flights{DYNAMODB}",
    "cars": f"import holiday.cars{DYNAMODB}",
    "payments": f"import holiday.payments{DYNAMODB}",
}
STEPS = {
    "trips.reserve": "import steps.trips; steps.trips._states()",
    **{
        name: f"import steps.{name.split('.')[0]}; from steps import bookings; bookings.dynamodb()"
        for name in (
            *("flights.reserve", "flights.confirm", "flights.cancel"),
            *("cars.reserve", "cars.confirm", "cars.cancel"),
            *("payments.process", "payments.refund"),
        )
    },
}
REPEATS = 5


def functions() -> list[dict[str, Any]]:
    """For each function: whose it is, ms of imports (a bare interpreter's start taken off), and MB of package."""
    lambdas = STEP_FUNCTIONS / "lambdas"
    steps = bundling.package("steps", bundling.HOST, lambdas=lambdas, local=bundling.LOCAL / "step-functions")
    packages = {"Restate": bundling.package("holiday", bundling.HOST), "Step Functions": steps}
    bare = _start("pass", packages["Restate"])
    return [
        {
            "engine": engine,
            "function": name,
            "import_ms": _start(code, packages[engine]) - bare,
            "unpacked_mb": sum(path.stat().st_size for path in packages[engine].rglob("*") if path.is_file()) / 1e6,
            "zipped_mb": zipped(packages[engine]) / 1e6,
        }
        for engine, code_of in (("Restate", RESTATE), ("Step Functions", STEPS))
        for name, code in code_of.items()
    ]


def _start(code: str, package: Path) -> float:
    """Median milliseconds of a fresh interpreter that runs this with the package's own modules."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "AWS_DEFAULT_REGION": REGION}
    times: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=package)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def zipped(package: Path) -> int:
    """Bytes of the package as it is uploaded."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, path.relative_to(package))
    return archive.tell()
