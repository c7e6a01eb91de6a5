"""What only shows on Lambda: how often the functions are invoked, and one log line for each run of a handler."""

import json
from collections import Counter

import pytest

from localcloud.cloud import LocalCloud
from tests.driver import Holiday


def log_lines(cloud: LocalCloud) -> list[str]:
    """Every line that the four functions and the platform logged."""
    logs = cloud.client("logs")
    groups = [group.get("logGroupName", "") for group in logs.describe_log_groups()["logGroups"]]
    pages = [
        page
        for group in groups
        if "Service" in group
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    ]
    return [line for page in pages for event in page["events"] for line in event.get("message", "").splitlines()]


def invocations(cloud: LocalCloud) -> int:
    return sum(line.startswith("START RequestId") for line in log_lines(cloud))


@pytest.mark.parametrize(("run_type", "most"), [(None, 12), ("failPayment", 11)])
def test_a_trip_takes_few_lambda_invocations(on_lambda: Holiday, trip_id: str, run_type: str | None, most: int) -> None:
    on_lambda.settle()
    before = invocations(on_lambda.cloud)

    on_lambda.reserve({"trip_id": trip_id} | ({"run_type": run_type} if run_type else {}))

    on_lambda.settle()
    assert 0 < invocations(on_lambda.cloud) - before <= most


def test_every_run_of_a_handler_logs_how_it_ended_once_and_nothing_on_replay(on_lambda: Holiday, trip_id: str) -> None:
    on_lambda.reserve({"trip_id": trip_id, "depart_city": "Ittoqqortoormiit"})
    on_lambda.settle()

    lines = [line for line in log_lines(on_lambda.cloud) if trip_id in line]
    entries = [json.loads(line) for line in lines]
    runs = Counter((entry["service"], entry["handler"]) for entry in entries if entry["message"] == "done")
    assert runs == Counter(
        {
            ("trips", "reserve"): 1,
            ("trips", "notify"): 1,
            ("flights", "reserve"): 1,
            ("flights", "confirm"): 1,
            ("cars", "reserve"): 1,
            ("cars", "confirm"): 1,
            ("payments", "process"): 1,
        }
    )
    assert all(entry["trip_id"] == trip_id and entry["invocation_id"].startswith("inv_") for entry in entries)
    assert not any("Ittoqqortoormiit" in line for line in log_lines(on_lambda.cloud))
