"""What restate-server logs and keeps of a caller's data, as docs/logs.md says."""

import uuid
from functools import partial

import pytest

from tests.driver import Holiday, eventually, log_lines

pytestmark = pytest.mark.slow

DAY = "PT86400S"


def test_restate_s_own_log_contains_error_messages_in_full(holiday: Holiday) -> None:
    # given a request whose error message contains some of the caller's words
    written = f"my_secret_{uuid.uuid4().hex}"
    refused = holiday.reserve({written: "any"})
    assert refused.status_code == 400
    assert written in refused.json()["message"]

    # then restate-server has logged this message
    log = holiday.cloud.log("restate-server")
    said = refused.json()["message"].replace('"', '\\"')
    assert said in eventually(log.read_text, lambda text: said in text)


def test_at_a_mismatch_both_logs_contain_the_steps_messages(holiday: Holiday) -> None:
    # given a booked trip, whose data is in no log
    city = f"City {uuid.uuid4().hex}"
    answer = holiday.reserve({"depart_city": city})
    restate_s, ours = holiday.cloud.log("restate-server").read_text, partial(log_lines, holiday.cloud)
    holiday.settle()
    assert city not in restate_s()
    assert not any(city in line for line in ours())

    # when it is restarted from a step in the middle, then both logs contain the messages that did not match
    copy: str = holiday.cloud.admin.operate("restart-as-new?from=3", answer.headers["x-restate-id"])[
        "new_invocation_id"
    ]
    try:
        assert city in eventually(restate_s, lambda text: city in text)
        assert eventually(lambda: any(city in line for line in ours()), bool)
    finally:
        holiday.cloud.admin.operate("kill", copy)
        holiday.settle()


def test_restate_keeps_what_callers_and_services_sent_for_a_day(holiday: Holiday) -> None:
    # given a booked trip
    trip_id, city = f"kept-{uuid.uuid4().hex[:8]}", f"City {uuid.uuid4().hex}"
    answer = holiday.reserve({"trip_id": trip_id, "depart_city": city})
    assert answer.status_code == 200
    holiday.settle()

    # then each of its invocations keeps its journal for a day, and the reservation's contains the request
    own = f"id = '{answer.headers['x-restate-id']}' OR target LIKE '%/{trip_id}/%'"
    kept = holiday.query(f"SELECT target, status, journal_retention FROM sys_invocation WHERE {own}")
    assert len(kept) == 6
    assert {(row["status"], row["journal_retention"]) for row in kept} == {("completed", DAY)}
    [sent] = holiday.query(
        f"SELECT entry_json, raw FROM sys_journal WHERE id = '{answer.headers['x-restate-id']}' AND index = 0"
    )
    assert city in sent["entry_json"] or city.encode().hex() in sent["raw"]
