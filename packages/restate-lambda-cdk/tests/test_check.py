"""The monitor's function: one check of a fake Restate, and what it publishes to a fake of CloudWatch."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from events import Clock
from fake_admin import FakeAdmin
from monitor import check
from monitor.stuck import Stuck, query
from registration.admin import Admin, AdminError, RefusedError, UnavailableError
from registration.deadline import Deadline

NOTHING: dict[str, Any] = {"rows": []}


class CloudWatch:
    """Keeps what is published, or rejects it."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.rejects = False

    def client(self, service: str, **_: Any) -> "CloudWatch":
        assert service == "cloudwatch"
        return self

    def put_metric_data(self, **request: Any) -> None:
        if self.rejects:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "why"}}, "PutMetricData")
        self.published.append(request)

    def values(self) -> dict[tuple[str, str], float]:
        """What the only check published, by metric and service."""
        (request,) = self.published
        assert request["Namespace"] == "Restate"
        found: dict[tuple[str, str], float] = {}
        for each in request["MetricData"]:
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in each["Dimensions"]}
            assert dimensions.pop("Monitor") == "Stack/Monitor"
            found[each["MetricName"], dimensions.get("Service", "")] = each["Value"]
        return found


class Remaining:
    """Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        return 1000 * (check.KEPT_BACK_SECONDS + 5)


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    fake = CloudWatch()
    monkeypatch.setattr(boto3, "client", fake.client)
    return fake


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, restate: FakeAdmin) -> None:
    for name, value in {"MONITOR": "Stack/Monitor", "ADMIN_URL": restate.url, "THRESHOLD_SECONDS": "300"}.items():
        monkeypatch.setenv(name, value)


def row(service: str, stuck: int, oldest: float) -> dict[str, Any]:
    return {"service": service, "stuck": stuck, "oldest_seconds": oldest}


def test_no_stuck_invocations_are_published_as_zero(restate: FakeAdmin, cloudwatch: CloudWatch) -> None:
    restate.answers_before = [(200, NOTHING)]

    check.handler({}, Remaining())

    assert cloudwatch.values() == {("StuckInvocations", ""): 0, ("OldestStuckInvocationAge", ""): 0}


def test_stuck_invocations_are_published_by_service_and_in_total_and_logged_in_one_line(
    restate: FakeAdmin, cloudwatch: CloudWatch, caplog: pytest.LogCaptureFixture
) -> None:
    restate.answers_before = [(200, {"rows": [row("payments", 10_000, 400), row("trips", 2, 7201)]})]

    check.handler({}, Remaining())

    assert cloudwatch.values() == {
        ("StuckInvocations", ""): 10_002,
        ("OldestStuckInvocationAge", ""): 7201,
        ("StuckInvocations", "payments"): 10_000,
        ("OldestStuckInvocationAge", "payments"): 400,
        ("StuckInvocations", "trips"): 2,
        ("OldestStuckInvocationAge", "trips"): 7201,
    }
    assert [record.getMessage() for record in caplog.records] == [
        "stuck invocations: payments 10000 (oldest 400 s), trips 2 (oldest 7201 s)"
    ]


def test_only_the_twenty_services_with_the_most_have_their_own_metrics_and_all_are_in_the_total() -> None:
    found = [Stuck(f"service{number}", 100 - number, number) for number in range(50)]

    data = check.metrics("Stack/Monitor", found)

    services = [each["Dimensions"][1]["Value"] for each in data if len(each["Dimensions"]) > 1]
    assert services == [f"service{number}" for number in range(20) for _ in range(2)]
    assert (data[0]["Value"], data[1]["Value"]) == (sum(range(51, 101)), 49)


def test_a_rejected_key_is_raised_in_one_sentence_and_nothing_is_published(
    restate: FakeAdmin, cloudwatch: CloudWatch
) -> None:
    restate.api_key = "key_1"

    with pytest.raises(
        RefusedError, match=r"requires an API key \(401: bad key None\): pass its secret as auth_token\.$"
    ):
        check.handler({}, Remaining())

    assert cloudwatch.published == []


def test_an_unavailable_restate_is_retried_and_then_an_error(
    restate: FakeAdmin, cloudwatch: CloudWatch, deadline: Deadline, clock: Clock
) -> None:
    # given a Restate that fails once, then the request is retried
    settings = check.Settings("Stack/Monitor", restate.url, 300)
    restate.answers_before = [(503, "starting"), (200, NOTHING)]
    assert check.check(check.connect(settings, deadline), settings, deadline) == []
    assert len(clock.pauses) == 1

    # and given one that keeps failing, then the check fails, and nothing is published
    restate.answers_before = [(503, "starting")] * 1000
    with pytest.raises(AdminError, match="Timed out after 300 seconds: Restate answered 503: starting"):
        check.check(check.connect(settings, deadline), settings, Deadline(300, lambda: clock.now, clock.sleep))
    assert cloudwatch.published == []


def time_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURATIONS", "trips/reserve")
    monkeypatch.setenv("INTERVAL_SECONDS", "300")


def test_durations_in_the_event_s_window_are_published_with_stuck_invocations(
    restate: FakeAdmin, cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    time_trips(monkeypatch)
    rows = [{"handler": "trips/reserve", "power": 105, "invocations": 3}]
    restate.answers_before = [(200, NOTHING), (200, {"rows": rows})]

    check.handler({"time": "2026-11-28T12:00:00Z"}, Remaining())

    (request,) = cloudwatch.published
    assert [each["MetricName"] for each in request["MetricData"][:2]] == [
        "StuckInvocations",
        "OldestStuckInvocationAge",
    ]
    (duration,) = request["MetricData"][2:]
    assert (duration["Values"], duration["Counts"]) == ([167.8], [3])
    assert duration["Timestamp"].isoformat() == "2026-11-28T11:54:00+00:00"


def test_a_look_outside_the_schedule_does_not_query_durations(
    restate: FakeAdmin, cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    time_trips(monkeypatch)
    restate.answers_before = [(200, NOTHING)]

    check.handler({}, Remaining())

    assert restate.asked == ["POST /query"]
    assert len(cloudwatch.values()) == 2


def test_a_monitor_without_timed_handlers_does_not_query_durations(restate: FakeAdmin, cloudwatch: CloudWatch) -> None:
    restate.answers_before = [(200, NOTHING)]

    check.handler({"time": "2026-11-28T12:00:00Z"}, Remaining())

    assert restate.asked == ["POST /query"]
    assert len(cloudwatch.values()) == 2


@pytest.mark.parametrize(("time", "error"), [("2026-11-28T12:00:00Z", RefusedError), ("noon", ValueError)])
def test_stuck_invocations_are_published_even_if_durations_fail(
    restate: FakeAdmin, cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch, time: str, error: type[Exception]
) -> None:
    time_trips(monkeypatch)
    restate.answers_before = [(200, {"rows": [row("trips", 2, 400)]}), (400, "no such column")]

    with pytest.raises(error):
        check.handler({"time": time}, Remaining())

    assert cloudwatch.values()["StuckInvocations", ""] == 2


def test_durations_are_not_queried_after_the_deadline(restate: FakeAdmin) -> None:
    settings = check.Settings("Stack/Monitor", restate.url, 300, durations=("trips/reserve",))
    event = {"time": "2026-11-28T12:00:00Z"}

    with pytest.raises(UnavailableError, match="increase the monitor's timeout"):
        check.took(Admin(restate.url), settings, event, Deadline(0))

    assert restate.asked == []


def test_an_error_from_cloudwatch_is_raised(restate: FakeAdmin, cloudwatch: CloudWatch) -> None:
    restate.answers_before = [(200, NOTHING)]
    cloudwatch.rejects = True

    with pytest.raises(ClientError, match="PutMetricData"):
        check.handler({}, Remaining())


def test_a_key_is_not_sent_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_URL", "http://restate.example.com:9070")
    monkeypatch.setenv("AUTH_TOKEN_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:1:secret:key-AbCdEf")

    with pytest.raises(RefusedError, match="plain HTTP"):
        check.handler({}, Remaining())


def test_only_the_given_services_are_queried_and_their_names_are_escaped() -> None:
    assert "service IN" not in query(300, [])
    assert "AND service IN ('o''brien', 'trips') GROUP BY" in query(300, ["o'brien", "trips"])
    assert "INTERVAL '300 seconds'" in query(300, [])
