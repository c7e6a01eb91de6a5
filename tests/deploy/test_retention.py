"""What restate-server logs and keeps of what a caller wrote, as docs/operations.md says."""

import uuid
from functools import partial

import pytest

from tests.driver import Holiday, eventually, log_lines

pytestmark = pytest.mark.slow

DAY = "PT86400S"


def test_restate_s_own_log_repeats_a_refusal_word_for_word(holiday: Holiday) -> None:
    # given a request that is refused in words that hold some of the caller's
    written = f"my_secret_{uuid.uuid4().hex}"
    refused = holiday.reserve({written: "any"})
    assert refused.status_code == 400
    assert written in refused.json()["message"]

    # then restate-server has logged just these words
    log = holiday.cloud.log("restate-server")
    said = refused.json()["message"].replace('"', '\\"')
    assert said in eventually(log.read_text, lambda text: said in text)


def test_at_a_mismatch_both_logs_hold_the_steps_messages(holiday: Holiday) -> None:
    # given a booked trip, whose words nobody has logged
    city = f"City {uuid.uuid4().hex}"
    answer = holiday.reserve({"depart_city": city})
    restate_s, ours = holiday.cloud.log("restate-server").read_text, partial(log_lines, holiday.cloud)
    holiday.settle()
    assert city not in restate_s()
    assert not any(city in line for line in ours())

    # when it is restarted from a step in the middle, then both say what they compared
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

    # then each of its invocations keeps its journal for a day, and in the reservation's is what the caller sent
    own = f"id = '{answer.headers['x-restate-id']}' OR target LIKE '%/{trip_id}/%'"
    kept = holiday.query(f"SELECT target, status, journal_retention FROM sys_invocation WHERE {own}")
    assert len(kept) == 6
    assert {(row["status"], row["journal_retention"]) for row in kept} == {("completed", DAY)}
    [sent] = holiday.query(
        f"SELECT entry_json, raw FROM sys_journal WHERE id = '{answer.headers['x-restate-id']}' AND index = 0"
    )
    assert city in sent["entry_json"] or city.encode().hex() in sent["raw"]
