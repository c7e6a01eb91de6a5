"""The deployed metric filters against the real log lines of every kind of trip and failure.

The emulator accepts metric filters but does not evaluate them, so the tests do (tests/filter_patterns.py).
"""

import json
import uuid
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from demo.cloud import HolidayCloud
from holiday.services import RUN_TYPES, SERVICES
from tests.deploy.blocked_trips import without_table
from tests.deploy.pages import commands, run, section
from tests.driver import Holiday, eventually, logged
from tests.expectations import COMPENSATIONS
from tests.filter_patterns import matches, value_of

pytestmark = pytest.mark.slow


@dataclass
class Runs:
    """What was done in a cloud, and what its functions logged.

    ended: the expected counts of each reservation, by its invocation id. failed: the trips with a failed handler, by
    handler. lines: the log lines, by log group.
    """

    cloud: HolidayCloud
    ended: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    failed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    lines: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def expect(self, invocation_id: str, counted: str) -> str:
        self.ended.setdefault(invocation_id, Counter())[counted] += 1
        return invocation_id

    def expect_failure(self, trip_id: str, *handlers: str) -> None:
        for handler in handlers:
            self.failed.setdefault(handler, set()).add(trip_id)

    def read(self) -> dict[str, list[str]]:
        self.lines |= logged(self.cloud)
        return self.lines

    def filters(self) -> list[dict[str, Any]]:
        """Every metric filter in the account, as deployed."""
        return [
            {"group": name, "pattern": found.get("filterPattern", ""), **found.get("metricTransformations", [])[0]}
            for name in self.lines
            for found in self.cloud.client("logs").describe_metric_filters(logGroupName=name)["metricFilters"]
        ]

    def matching(self, metric: str) -> list[dict[str, Any]]:
        """The lines that a metric counts."""
        (counted,) = (each for each in self.filters() if each["metricName"] == metric)
        return [json.loads(line) for line in self.lines[counted["group"]] if matches(counted["pattern"], line)]


@pytest.fixture(scope="module")
def runs(own_cloud: HolidayCloud) -> Runs:
    """Every kind of trip, including trips while a table or the topic is missing."""
    alarms = own_cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
    holiday = Holiday(own_cloud, own_cloud.deploy({"alarmTopicArn": alarms}))
    runs = Runs(own_cloud)
    book_trips_that_end_by_themselves(holiday, runs)
    with ThreadPoolExecutor(1) as later, without_table(own_cloud, holiday.names["PaymentsTableName"]):
        given_up = later.submit(holiday.reserve, {"trip_id": "given-up"})
        fail_and_cancel(holiday, runs, "payments", "process")
        answer = given_up.result()  # after eight attempts
        assert answer.json()["metadata"]["reason"] == "given up"
        runs.expect(holiday.invocation_of(answer), "TripsRolledBack given up")
        runs.expect_failure("given-up", "payments.process", "payments.refund")
        wait_for_failure(runs, "given-up", "payments.refund")
    for service in SERVICES.keys() - {"payments"}:
        with without_table(own_cloud, holiday.names[f"{service.capitalize()}TableName"]):
            fail_and_cancel(holiday, runs, service, next(iter(SERVICES[service].steps)))
    with without_topic(holiday):
        answer = holiday.reserve({"trip_id": "unsung"})
        runs.expect(holiday.invocation_of(answer), "TripsBooked")
        runs.expect_failure("unsung", "trips.notify")
        wait_for_failure(runs, "unsung", "trips.notify")
    holiday.settle()
    runs.read()
    return runs


def book_trips_that_end_by_themselves(holiday: Holiday, runs: Runs) -> None:
    def book(counted: str, request: dict[str, str], **headers: str) -> str:
        return runs.expect(holiday.invocation_of(holiday.reserve(request, **headers)), counted)

    for run_type in RUN_TYPES:
        book("TripsRolledBack simulated", {"trip_id": run_type, "run_type": run_type})
    book("TripsBooked", {"trip_id": "twice"})
    book("TripsRefused duplicate", {"trip_id": "twice"})
    book("TripsRefused invalid", {"cat": "Tom"})
    # Each key is reused after it was purged: a trip that is booked already must not be counted twice.
    booked = book("TripsBooked", {"trip_id": "again"}, idempotency_key="a")
    rolled_back = book("TripsRolledBack simulated", {"run_type": "failPayment"}, idempotency_key="b")
    holiday.settle()
    for invocation_id in (booked, rolled_back):
        holiday.purge(invocation_id)
    answer = holiday.reserve({"trip_id": "again"}, idempotency_key="a")
    assert (answer.status_code, holiday.invocation_of(answer)) == (200, booked)
    assert book("TripsRefused rolled back", {"run_type": "failPayment"}, idempotency_key="b") == rolled_back


def fail_and_cancel(holiday: Holiday, runs: Runs, service: str, step: str) -> None:
    """Book a trip whose step fails until it is cancelled, and then its compensation."""
    trip_id = f"{service}-{uuid.uuid4().hex[:6]}"
    invocation_id = holiday.send({"trip_id": trip_id})
    compensation = f"{service}.{SERVICES[service].compensation}"
    runs.expect(invocation_id, "TripsRolledBack cancelled")
    runs.expect_failure(trip_id, f"{service}.{step}", compensation)
    wait_for_failure(runs, trip_id, f"{service}.{step}")
    holiday.cloud.admin.operate("cancel", invocation_id)
    wait_for_failure(runs, trip_id, compensation)


def wait_for_failure(runs: Runs, trip_id: str, handler: str) -> None:
    def failed() -> bool:
        lines = [line for lines in runs.read().values() for line in lines if trip_id in line]
        return any(each["message"] == "failed" and name_of(each) == handler for each in map(json.loads, lines))

    assert eventually(failed, bool), f"{handler} of {trip_id} has not failed"


def name_of(line: dict[str, str]) -> str:
    return f"{line['service']}.{line['handler']}"


@contextmanager
def without_topic(holiday: Holiday) -> Generator[None]:
    sns, arn = holiday.cloud.client("sns"), holiday.names["TopicArn"]
    sns.delete_topic(TopicArn=arn)
    try:
        yield
    finally:
        sns.create_topic(Name=arn.rpartition(":")[2])


def test_each_reservation_counts_once_with_its_outcome(runs: Runs) -> None:
    counted: dict[str, Counter[str]] = {}
    for each in runs.filters():
        if not each["metricName"].startswith("Trips") or each["metricName"].endswith("Failing"):
            continue
        for line in runs.lines[each["group"]]:
            if matches(each["pattern"], line):
                assert each["metricValue"] == "1"
                reason = [value_of(line, selector) for selector in each.get("dimensions", {}).values()]
                name = " ".join([each["metricName"], *reason])
                counted.setdefault(json.loads(line)["invocation_id"], Counter())[name] += 1

    assert counted == runs.ended


@pytest.mark.parametrize("service", [*SERVICES, "trips"])
def test_a_failure_is_counted_for_its_service(runs: Runs, service: str) -> None:
    found = runs.matching(f"{service.capitalize()}Failing")

    expected = {(name, trip) for name, trips in runs.failed.items() for trip in trips if name.startswith(service)}
    assert {(name_of(line), line["trip_id"]) for line in found} == expected != set()


@pytest.mark.parametrize("handler", [*COMPENSATIONS, "trips.notify"])
def test_failed_compensations_and_notices_are_counted_separately(runs: Runs, handler: str) -> None:
    service, _, verb = handler.partition(".")

    found = runs.matching(f"{service.capitalize()}{verb.capitalize()}Failing")

    assert {(name_of(line), line["trip_id"]) for line in found} == {(handler, trip) for trip in runs.failed[handler]}


def test_restate_is_asked_how_long_a_booking_takes_as_the_page_says(runs: Runs) -> None:
    ((command, shown),) = commands(section("metrics.md", "How long they take"))

    status, printed = run(runs.cloud, command)

    assert status == 0, printed
    header, row = (line.split() for line in printed.splitlines()[:2])
    assert header == shown[0].split()
    booked = sum(counted["TripsBooked"] for counted in runs.ended.values())
    trips, median, p99, longest = map(float, row)
    assert (trips, 0 < median <= p99 <= longest) == (booked, True)
