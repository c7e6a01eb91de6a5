"""How long invocations took: the window of a check, its query, and the metrics from the answer."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fake_admin import FakeAdmin
from monitor import durations
from monitor.durations import Window
from registration.admin import Admin

MINUTE = timedelta(minutes=1)
AT_TWELVE = Window(datetime(2026, 11, 28, 11, 58, tzinfo=UTC), datetime(2026, 11, 28, 11, 59, tzinfo=UTC))


def test_a_window_ends_a_minute_before_the_event_because_clocks_differ() -> None:
    assert Window.of({"time": "2026-11-28T12:00:00Z"}, MINUTE) == AT_TWELVE
    assert Window.of({"time": "2026-11-28T13:00:00+01:00"}, MINUTE) == AT_TWELVE


@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_each_window_begins_where_the_one_before_it_ends(minutes: int) -> None:
    # given a schedule that starts at an arbitrary second, as a rate does
    interval = timedelta(minutes=minutes)
    times = [datetime(2026, 11, 28, 23, 59, 41, tzinfo=UTC) + number * interval for number in range(3)]

    windows = [Window.of({"time": time.isoformat()}, interval) for time in times]

    assert all(windows)
    assert [each.end for each in windows[:-1] if each] == [each.begin for each in windows[1:] if each]
    assert {each.end - each.begin for each in windows if each} == {interval}


@pytest.mark.parametrize("event", [{}, {"time": ""}, {"time": None}, None, "2026-11-28T12:00:00Z", []])
def test_an_event_that_is_not_from_the_schedule_has_no_window(event: Any) -> None:
    assert Window.of(event, MINUTE) is None


def test_an_invalid_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="noon"):
        Window.of({"time": "noon"}, MINUTE)


def test_the_query_names_the_handlers_and_includes_the_window_s_begin_but_not_its_end() -> None:
    asked = durations.query(["payments/refund", "trips/o'brien"], AT_TWELVE)

    assert "handler IN ('payments/refund', 'trips/o''brien')" in asked
    assert "completed_at >= to_timestamp_millis(1795867080000)" in asked
    assert "completed_at < to_timestamp_millis(1795867140000)" in asked
    assert "completion_result = 'success'" in asked


def test_equal_durations_of_a_handler_are_one_value_with_a_count(restate: FakeAdmin) -> None:
    rows = [
        {"handler": "payments/refund", "power": 0, "invocations": 1},
        {"handler": "trips/reserve", "power": 105, "invocations": 9_990},
        {"handler": "trips/reserve", "power": 176, "invocations": 10},
    ]
    restate.answers_before = [(200, {"rows": rows})]

    handlers = ["cars/reserve", "payments/refund", "trips/reserve"]
    found = durations.metrics(Admin(restate.url), "Stack/Monitor", handlers, AT_TWELVE)

    of_all = {"MetricName": "InvocationDuration", "Timestamp": AT_TWELVE.begin, "Unit": "Milliseconds"}
    monitor = {"Name": "Monitor", "Value": "Stack/Monitor"}
    assert found == [
        of_all
        | {"Dimensions": [monitor, {"Name": "Handler", "Value": "payments/refund"}], "Values": [1.0], "Counts": [1]},
        of_all
        | {
            "Dimensions": [monitor, {"Name": "Handler", "Value": "trips/reserve"}],
            "Values": [167.8, 5361.9],
            "Counts": [9_990, 10],
        },
    ]


def test_values_that_exceed_one_datum_are_split_and_none_is_lost(restate: FakeAdmin) -> None:
    # given durations of all sizes, from a millisecond to a week
    powers = range(round(math.log(7 * 86_400_000, durations.GROWTH)) + 1)
    rows = [{"handler": "trips/reserve", "power": power, "invocations": power + 1} for power in powers]
    restate.answers_before = [(200, {"rows": rows})]

    found = durations.metrics(Admin(restate.url), "Stack/Monitor", ["trips/reserve"], AT_TWELVE)

    assert [len(each["Values"]) for each in found] == [150, 150, len(powers) - 300]
    assert [len(each["Counts"]) for each in found] == [150, 150, len(powers) - 300]
    assert sum(sum(each["Counts"]) for each in found) == sum(power + 1 for power in powers)


def test_no_value_is_more_than_three_percent_off() -> None:
    for ms in [*range(20, 1000), 12_345, 3_600_000, 86_400_000]:
        value = round(durations.GROWTH ** round(math.log(ms) / math.log(durations.GROWTH)), 1)
        assert abs(value - ms) / ms < 0.03, ms
