"""The alarm for stuck invocations fires where AWS's own metrics show nothing, and returns to OK after the repair.

permissions/test_lost_permissions.py has a lost invoker role, and tests/faults/test_body_sizes.py a body that is too
large to start.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest

from demo import stuck
from demo.cloud import HolidayCloud
from demo.restate import Restate
from localcloud.invocations import unfinished
from localcloud.ports import Ports
from monitor.stuck import query as monitor_query
from tests.deploy.blocked_trips import begin, without_table
from tests.deploy.monitored import THRESHOLD, Watch
from tests.deploy.state import deployments
from tests.driver import Holiday, eventually

MINUTE = timedelta(minutes=1)


@pytest.fixture
def watch(holiday: Holiday) -> Iterator[Watch]:
    holiday.settle()
    watch = Watch(holiday.cloud)
    assert watch.becomes("OK")
    yield watch
    holiday.cloud.destroy("Watched")


def test_the_alarm_fires_for_a_refund_whose_table_is_gone_and_returns_to_ok_with_the_table(
    holiday: Holiday, watch: Watch
) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a trip that failed, and a refund that finds no table
        trip_id, _ = begin(holiday, "failPayment")
        [refund] = eventually(lambda: holiday.query(unfinished(f"target = 'payments/{trip_id}/refund'")), bool)

        # then the alarm fires and notifies once, however long it lasts
        assert watch.becomes("ALARM")
        assert watch.check() is None
        [call] = watch.calls()
        assert (call["NewStateValue"], call["OldStateValue"]) == ("ALARM", "OK")
        assert "have been failing, paused or unable to start" in call["AlarmDescription"]
        assert watch.published("StuckInvocations", "payments") == [1.0]
        assert watch.published("StuckInvocations", "trips") == []

        # and `make stuck` lists what the monitor counts, with its kind
        [listed] = Restate(holiday.cloud.admin_url).query(stuck.query(0))
        assert listed["target"] == f"payments/{trip_id}/refund"
        assert stuck.kind_of(listed) == "A table is not found"
        assert listed["seconds"] >= THRESHOLD

    # and when the table is back, it returns to OK
    holiday.cloud.admin.try_again(refund["id"])
    holiday.settle()
    assert watch.becomes("OK")


@pytest.mark.slow
def test_the_alarm_fires_for_a_deployment_removed_by_force_until_its_trip_is_moved(
    holiday: Holiday, watch: Watch
) -> None:
    admin = holiday.cloud.admin
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a trip whose deployment is removed while it waits for its payment
        trip_id, invocation = begin(holiday)
        failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 0")
        assert eventually(lambda: holiday.query(failing), bool)
        [pinned] = holiday.query(unfinished(f"id = '{invocation}'", "pinned"))
        admin.remove(pinned["pinned"])
        assert eventually(lambda: pinned["pinned"] in deployments(holiday.cloud), lambda known: not known) is False
    try:
        # when the payment succeeds and the trip cannot continue, then the alarm fires for the trip
        assert eventually(lambda: watch.check() or watch.published("StuckInvocations", "trips"), bool) == [1.0]
        assert watch.becomes("ALARM")
    finally:
        admin.register_versions(holiday.cloud.versions().values())

    # and when the trip has been moved, the alarm returns to OK
    holiday.cloud.admin.operate("pause", invocation)
    paused = unfinished(f"id = '{invocation}' AND status = 'paused'")
    assert eventually(lambda: holiday.query(paused), bool)
    holiday.cloud.admin.operate("resume?deployment=latest", invocation)
    assert holiday.answer(invocation).status_code == 200
    holiday.settle()
    assert watch.becomes("OK")


@pytest.mark.slow
def test_the_alarm_fires_for_a_paused_invocation_until_it_is_resumed(holiday: Holiday, watch: Watch) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        trip_id, _ = begin(holiday, "failPayment")
        failing = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 0")
        [refund] = eventually(lambda: holiday.query(failing), bool)
        holiday.cloud.admin.operate("pause", refund["id"])
        paused = unfinished(f"id = '{refund['id']}' AND status = 'paused' AND stuck_since < now()")
        assert eventually(lambda: holiday.query(paused), bool)

    assert watch.becomes("ALARM")

    holiday.cloud.admin.try_again(refund["id"])
    holiday.settle()
    assert watch.becomes("OK")


def test_the_duration_of_each_booking_is_published_once_and_without_its_delay(holiday: Holiday, watch: Watch) -> None:
    # given a monitor that runs only when the test invokes it
    watch.stop_schedule()
    begin = datetime.now(UTC).replace(second=0, microsecond=0)

    # and trips: two that were booked, one that was booked later, one that was rolled back and one that was refused
    later = holiday.send(delay="3s")
    for request in ({}, {}, {"run_type": "failPayment"}, {"run_type": "nonsense"}):
        holiday.reserve(request)
    assert holiday.answer(later).status_code == 200
    holiday.settle()

    # when it is invoked without a scheduled event, which publishes nothing, and then for each minute since
    assert watch.check() is None
    assert [found for found in watch.durations("trips/reserve") if found[0] >= begin] == []
    last = datetime.now(UTC)
    for minute in (begin + number * MINUTE for number in range((last - begin) // MINUTE + 1)):
        assert watch.check({"time": (minute + 2 * MINUTE).isoformat()}) is None

    # then each booked trip counts once, in its minute, with its duration
    for handler in ("trips/reserve", "payments/refund"):
        took = minutes_of(holiday, handler, begin)
        published = [found for found in watch.durations(handler) if found[0] >= begin]
        assert [(at, count) for at, count, *_ in published] == [(at, len(each)) for at, each in took]
        assert [found[2:] for found in published] == [
            (pytest.approx(min(each), rel=0.05), pytest.approx(max(each), rel=0.05)) for _, each in took
        ]


def minutes_of(holiday: Holiday, handler: str, begin: datetime) -> list[tuple[datetime, list[float]]]:
    """The durations in milliseconds of a handler's invocations that succeeded since then, by minute."""
    service, name = handler.split("/")
    columns = "created_at, scheduled_at, scheduled_start_at, completed_at"
    rows = holiday.query(
        f"SELECT {columns} FROM sys_invocation WHERE target_service_name = '{service}' "
        f"AND target_handler_name = '{name}' AND completion_result = 'success'"
    )
    found: dict[datetime, list[float]] = {}
    for row in rows:
        began, ended = (
            datetime.fromisoformat(row[each])
            for each in ("scheduled_start_at" if row.get("scheduled_start_at") else "created_at", "completed_at")
        )
        if ended >= begin:
            minute = ended.replace(second=0, microsecond=0)
            found.setdefault(minute, []).append((ended - began).total_seconds() * 1000)
    assert found
    return sorted(found.items())


@pytest.mark.slow
def test_its_schedule_invokes_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    # given a monitor that only its schedule invokes, in an otherwise empty cloud
    with HolidayCloud(tmp_path_factory.mktemp("scheduled"), Ports.free()) as cloud:
        watch = Watch(cloud)

        # then it has run within two minutes and found nothing
        assert eventually(lambda: watch.state("Stuck"), lambda state: state == "OK") == "OK"


def test_an_invocation_queued_behind_a_stuck_one_counts_and_its_caller_does_not(holiday: Holiday) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a refund that fails, and the same trip again, whose payment is queued behind it
        trip_id, _ = begin(holiday, "failPayment")
        failing = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 1 AND stuck_since < now()")
        assert eventually(lambda: holiday.query(failing), bool)
        holiday.send({"trip_id": trip_id})
        queued = unfinished(f"target = 'payments/{trip_id}/process' AND status = 'queued' AND stuck_since < now()")
        [waiting] = eventually(lambda: holiday.query(queued), bool)
        [refund] = holiday.query(failing)

        # then the refund and the payment count once each, and the trip that waits for its payment does not
        assert holiday.query(monitor_query(0, [])) == [{"service": "payments", "stuck": 2, "oldest_seconds": ANY}]
        listed = Restate(holiday.cloud.admin_url).query(stuck.query(0))
        assert sorted(row["id"] for row in listed) == sorted([waiting["id"], refund["id"]])
        assert {stuck.trip_of(row) for row in listed} == {trip_id}
    holiday.cloud.admin.try_again(refund["id"])
    holiday.settle()


def test_an_invocation_that_waits_for_another_or_for_its_start_is_not_stuck(holiday: Holiday) -> None:
    # given a trip that waits for a failing payment, and one that begins tomorrow
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        trip_id, invocation = begin(holiday)
        later = holiday.send(delay="1d")
        failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 1 AND stuck_since < now()")
        assert eventually(lambda: holiday.query(failing), bool)

        # then neither is stuck, but the payment is
        waiting = holiday.query(unfinished(f"id IN ('{invocation}', '{later}')"))
        assert {row["status"] for row in waiting} == {"suspended", "scheduled"}
        assert [row for row in waiting if row.get("stuck_since")] == []
    holiday.cloud.admin.operate("kill", later)
    holiday.settle()
