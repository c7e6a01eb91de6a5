"""Dollars per million trips, from counts that the benchmark measured and prices that are inputs.

`python -m comparison.money` prints them. What is not a price per use, a Restate server of one's own, is given at a
load: it costs the same whether it is used or not.
"""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import report, tables
from dependencies.output import accept_any_encoding

PRICES = Path(__file__).parent / "prices.toml"
MEMORY_GB = 1.0
SECONDS_PER_MONTH = 30 * 24 * 3600
WRITE_UNITS = {"PutItem": 1, "UpdateItem": 1, "DeleteItem": 1, "TransactWriteItems": 4}  # two rows, two units each
READ_UNITS = {"Query": 1, "GetItem": 1}  # consistent, of less than 4 KB


def per_million_trips(counts: Mapping[str, Any], prices: Mapping[str, Any], engine: str) -> dict[str, float | None]:
    """What a million trips cost, by service. None is unknown.

    counts: of one trip, as the benchmark saves them. engine: Restate, Step Functions Express or … Standard.
    """
    requests: Mapping[str, float] = counts["dynamodb_requests"]
    writes = sum(WRITE_UNITS.get(operation, 0) * number for operation, number in requests.items())
    reads = sum(READ_UNITS.get(operation, 0) * number for operation, number in requests.items())
    cost: dict[str, float | None] = {
        "Lambda requests": counts["lambda_invocations"] * prices["lambda"]["per_million_requests"],
        "Lambda duration": counts["billed_ms"] / 1000 * MEMORY_GB * prices["lambda"]["per_gb_second"] * 1e6,
        "DynamoDB": writes * prices["dynamodb"]["per_million_write_units"]
        + reads * prices["dynamodb"]["per_million_read_units"],
        "SNS": prices["sns"]["per_million_publishes"],
        "CloudWatch Logs": _logs(counts.get("log_bytes"), prices["cloudwatch"]),
    }
    if engine == "Restate":
        per_million = prices["restate"]["cloud_per_million_invocations"]
        cost["Restate Cloud"] = per_million * counts["restate_invocations"] if per_million else None
        return cost
    cost["API Gateway"] = prices["api_gateway"]["per_million_requests"]
    if engine.endswith("Standard"):
        cost["Step Functions"] = counts["state_transitions"] * prices["step_functions"]["per_million_state_transitions"]
    else:
        chunks = math.ceil(counts["workflow_ms"] / 100) / 10 * 64 / 1024
        duration = chunks * prices["step_functions"]["per_express_gb_second"] * 1e6
        cost["Step Functions"] = prices["step_functions"]["per_million_express_requests"] + duration
    return cost


def _logs(log_bytes: float | None, prices: Mapping[str, float]) -> float | None:
    """Taken in once and kept for a month, uncompressed, which is more than AWS charges for. None: not counted."""
    if log_bytes is None:
        return None
    gb = log_bytes * 1e6 / 1e9
    return gb * (prices["per_gb_of_logs"] + prices["per_gb_month_of_logs"])


def self_hosted_per_million(trips_per_second: float, prices: Mapping[str, Any]) -> float:
    """A server of one's own, per million trips, at a steady load."""
    return prices["restate"]["self_hosted_per_month"] / (trips_per_second * SECONDS_PER_MONTH) * 1e6


def load_prices() -> dict[str, Any]:
    return tomllib.loads(PRICES.read_text())


def table(engines: Mapping[str, Any]) -> dict[str, Any]:
    """{"verified": …, engine: {service: dollars per million successful trips}}, at the prices of prices.toml."""
    prices = load_prices()
    found: dict[str, Any] = {"verified": prices["verified"]}
    for name, engine in engines.items():
        found[name] = per_million_trips(engine["counts"]["success"], prices, name)
    found["Restate, a server of one's own"] = {
        f"at {rate} trips/s": self_hosted_per_million(rate, prices) for rate in (0.1, 1, 10, 100)
    }
    return found


def main() -> None:
    accept_any_encoding()
    results = report.load()
    results["money"] = table(results["engines"])
    print(f"What was counted on {results['measured']['on']}, at the prices of {PRICES.name}: EXAMPLES, NOT VERIFIED.\n")
    print(tables.money(results))


if __name__ == "__main__":
    main()
