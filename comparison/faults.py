"""What a crash, a throttle and a cancel in the middle of a trip cost, and what they leave."""

import statistics
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from comparison.booker import TIMEOUT, BenchError, Booker
from comparison.proxy import DynamoDBProxy, throttle

# Where a trip can be hit: the write of each step, for either engine's way of making it.
MOMENTS = {
    "flights.reserve": {"Restate": ("PutItem", "Flights"), "Step Functions": ("TransactWriteItems", "Flights")},
    "cars.reserve": {"Restate": ("PutItem", "Cars"), "Step Functions": ("PutItem", "Cars")},
    "payments.process": {"Restate": ("PutItem", "Payments"), "Step Functions": ("PutItem", "Payments")},
    "flights.confirm": {"Restate": ("UpdateItem", "Flights"), "Step Functions": ("UpdateItem", "Flights")},
    "cars.confirm": {"Restate": ("UpdateItem", "Cars"), "Step Functions": ("UpdateItem", "Cars")},
}


def measure(booker: Booker, proxy: DynamoDBProxy, trips: int) -> dict[str, Any]:
    """What one crash, one throttle and one cancel in the middle of a trip cost."""
    kind = "Restate" if booker.engine.name == "Restate" else "Step Functions"
    found: dict[str, Any] = {"undisturbed": _struck(booker, proxy, trips, None)}
    found["crash"] = _struck(booker, proxy, trips, lambda: proxy.strike_once("PutItem", "Cars", proxy.crash))
    found["throttle"] = _struck(booker, proxy, trips, lambda: proxy.strike_once("PutItem", "Cars", throttle))
    if not booker.observer.can_cancel:
        found["cancel"] = None
        return found
    left = answered = 0
    for moment in MOMENTS.values():
        trip_id = f"cancelled-{uuid.uuid4()}"

        def cancel(_port: int) -> None:
            booker.observer.cancel()

        proxy.strike_once(*moment[kind], cancel)
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            answer = booker.book("success", client, trip_id)
        booker.observer.settle()
        _demand_strike(proxy, "cancel")
        statuses = booker.observer.statuses(trip_id)
        left += any(status in ("pending", "confirmed") for status in statuses) and answer.status_code != 200
        answered += answer.status_code == 422
    found["cancel"] = {"trips": len(MOMENTS), "left_something_standing": left, "answered_422": answered}
    return found


def _struck(booker: Booker, proxy: DynamoDBProxy, trips: int, strike: Callable[[], None] | None) -> dict[str, Any]:
    """Book trips that a fault strikes once each: how long they took, and what they cost in invocations."""
    before = booker.observer.snapshot()
    times: list[float] = []
    for _ in range(trips):
        if strike:
            strike()
        times += booker.turn("success", 1, 1).answers
        _demand_strike(proxy, "fault")
    invoked = booker.observer.snapshot()["lambda_invocations"] - before["lambda_invocations"]
    return {"median_ms": statistics.median(times) * 1000, "lambda_invocations": invoked / trips}


def _demand_strike(proxy: DynamoDBProxy, what: str) -> None:
    if not proxy.has_struck():
        raise BenchError(f"The {what} never struck: the trip made no such request.")
