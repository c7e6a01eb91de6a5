"""Where the first limit is: what a trip takes of each service, held against what there is of it.

The trip's part is what the benchmark counted; the account's part is `quotas.toml`. Nothing here was run at such rates.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUOTAS = Path(__file__).parent / "quotas.toml"
RATES = (1, 10, 100, 1000)
WRITES_OF_THE_BUSIEST_TABLE = 2  # flights and cars: reserve, confirm; an undo is one more


def limits(results: Mapping[str, Any], quotas: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """(what is used up, what a trip takes of it, trips per second at which it is used up), the first limit first."""
    trip = results["engines"]["Restate"]["counts"]["success"]
    busy, invocations = trip["billed_ms"] / 1000, trip["lambda_invocations"]
    cpu = results["local_process"]["processes"]["restate-server"]["cpu_ms"] / 1000
    a_lambda, table = quotas["lambda"], quotas["dynamodb"]
    requests = a_lambda["concurrent_executions"] * a_lambda["requests_per_second_per_execution"]
    writes = WRITES_OF_THE_BUSIEST_TABLE
    found = [
        ("Lambda's requests per second", f"{invocations:g} invocations", requests / invocations),
        ("Lambda's concurrency", f"{busy:.2f} s of a function", a_lambda["concurrent_executions"] / busy),
        ("a new table's writes", f"{writes} units of each", table["write_units_of_a_new_table"] / writes),
        ("a grown table's writes", f"{writes} units of each", table["write_units_of_a_table"] / writes),
        ("SNS's publishes", "1 notice", quotas["sns"]["publishes_per_second"]),
        (
            f"Restate's {quotas['restate']['cores']} cores",
            f"{cpu * 1000:.1f} ms of CPU",
            quotas["restate"]["cores"] / cpu,
        ),
    ]
    return sorted(found, key=lambda limit: limit[2])


def demand(results: Mapping[str, Any]) -> list[list[str]]:
    """For each rate of RATES: what is running, invoked, written and published at once, by Little's law."""
    trip = results["engines"]["Restate"]["counts"]["success"]
    invocations, busy = trip["lambda_invocations"], trip["billed_ms"] / 1000
    cpu = results["local_process"]["processes"]["restate-server"]["cpu_ms"] / 1000
    return [
        [f"{rate}", f"{rate * invocations:g}", f"{rate * busy:.1f}", f"{rate * 2}", f"{rate * cpu:.2f}"]
        for rate in RATES
    ]


def load_quotas() -> dict[str, Any]:
    return tomllib.loads(QUOTAS.read_text())
