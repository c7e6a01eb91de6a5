"""What can only be seen on Lambda: the number of invocations, and one log line for each run of a handler."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.driver import Holiday, lambda_invocations, log_lines
from tests.expectations import STEPS, more_invocations


@pytest.mark.parametrize(("run_type", "most"), [(None, 11), ("failPayment", 11)])
def test_a_trip_takes_few_lambda_invocations(on_lambda: Holiday, trip_id: str, run_type: str | None, most: int) -> None:
    on_lambda.settle()
    before = lambda_invocations(on_lambda.cloud)

    on_lambda.reserve({"trip_id": trip_id} | ({"run_type": run_type} if run_type else {}))

    on_lambda.settle()
    assert 0 < lambda_invocations(on_lambda.cloud) - before <= most + more_invocations()


def test_a_duplicate_takes_three_lambda_invocations_and_changes_no_row(on_lambda: Holiday, trip_id: str) -> None:
    on_lambda.reserve({"trip_id": trip_id})
    on_lambda.settle()
    before, rows = lambda_invocations(on_lambda.cloud), on_lambda.rows(trip_id)

    assert on_lambda.reserve({"trip_id": trip_id}).status_code == 409

    on_lambda.settle()
    assert lambda_invocations(on_lambda.cloud) - before == 3
    assert on_lambda.rows(trip_id) == rows


def test_every_handler_run_logs_its_outcome_once_and_nothing_on_replay(on_lambda: Holiday, trip_id: str) -> None:
    on_lambda.reserve({"trip_id": trip_id, "depart_city": "Ittoqqortoormiit"})
    on_lambda.settle()

    lines = [line for line in log_lines(on_lambda.cloud) if trip_id in line]
    entries = [json.loads(line) for line in lines]
    runs = Counter(f"{entry['service']}.{entry['handler']}" for entry in entries if entry["message"] == "done")
    assert runs == Counter(["trips.reserve", "trips.notify", *STEPS])
    steps = Counter(
        entry["message"] for entry in entries if entry["handler"] == "reserve" and entry["service"] == "trips"
    )
    assert steps >= Counter(STEPS)
    assert set(steps.values()) == {1}
    assert all(entry["trip_id"] == trip_id and entry["invocation_id"].startswith("inv_") for entry in entries)
    assert not any("Ittoqqortoormiit" in line for line in log_lines(on_lambda.cloud))


def test_every_log_line_names_its_trip_and_never_repeats_the_caller_s_words(on_lambda: Holiday, trip_id: str) -> None:
    # given a trip that fails, one that is booked, a duplicate of it, and an unreadable body, all with unusual words
    words = {"Qaarsut", "Kullorsuaq", "Siorapaluk"}
    on_lambda.reserve({"trip_id": trip_id, "run_type": "failNotification", "rental": "Qaarsut"})
    on_lambda.reserve({"trip_id": trip_id, "arrive_city": "Kullorsuaq"})
    on_lambda.reserve({"trip_id": trip_id, "run_type": "failPayment", "depart_city": "Kullorsuaq"})
    invalid = on_lambda.reserve({"Siorapaluk": "Siorapaluk"})
    on_lambda.settle()

    # then every line names its trip, except the line of the unreadable body
    entries = logged(on_lambda)
    [unread] = [entry for entry in entries if entry["invocation_id"] == on_lambda.invocation_of(invalid)]
    assert (unread["message"], unread["reason"], unread["trip_id"]) == ("refused", "invalid", "")
    assert [entry for entry in entries if not entry["trip_id"] and entry.get("reason") != "invalid"] == []
    # and it gives the reason in our own words, and contains none of the caller's
    reasons = {entry["reason"] for entry in entries if entry["trip_id"] == trip_id and entry["message"] == "refused"}
    assert reasons == {"simulated", "duplicate"}
    assert not [line for line in log_lines(on_lambda.cloud) if any(word in line for word in words)]


def logged(holiday: Holiday) -> list[dict[str, Any]]:
    """What the services logged, without the platform's lines."""
    return [json.loads(line) for line in log_lines(holiday.cloud) if line.startswith('{"timestamp"')]
