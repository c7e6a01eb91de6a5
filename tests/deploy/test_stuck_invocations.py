"""docs/stuck.md, "An invocation that never ends": each kind is created, found and repaired as the page says.

Changed code is in test_changed_code.py, and a body that is too large to start in tests/faults/test_body_sizes.py.
"""

import inspect

import pytest
from restate.vm import VMWrapper

from demo import serve
from localcloud import tables
from localcloud.invocations import unfinished
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.deploy.blocked_trips import at_its_payment, begin, without_table
from tests.deploy.runbook import MISMATCH, answer, cancelling_does_nothing, failures, is_found_by_the_page, move, repair
from tests.deploy.state import deployments
from tests.driver import Holiday, eventually
from tests.one_process import create_table

pytestmark = pytest.mark.slow


def test_a_restarted_copy_of_a_trip_can_be_killed_and_the_trip_is_unchanged(holiday: Holiday) -> None:
    # given a booked trip that is restarted from a step in the middle
    trip_id, original = begin(holiday)
    assert answer(holiday, original) == 200
    holiday.settle()
    before = holiday.rows(trip_id)
    holiday.cloud.admin.operate("restart-as-new?from=3", original)
    restarted = f"SELECT id FROM sys_invocation WHERE restarted_from = '{original}'"
    [copy] = eventually(lambda: holiday.query(restarted), bool)

    # then the page's query finds it, and cancelling it does nothing
    is_found_by_the_page(holiday, copy["id"], f"trips/reserve inv {MISMATCH}")
    cancelling_does_nothing(holiday, copy["id"])

    # and when it is killed, then the trip is unchanged
    repair(holiday, "kill", copy["id"])
    holiday.settle()
    assert holiday.rows(trip_id) == before
    assert len(holiday.notices(trip_id)) == 1


def test_a_trip_whose_deployment_is_gone_continues_on_the_next_one(holiday: Holiday) -> None:
    admin = holiday.cloud.admin
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given trips whose deployment is removed by force
        (_, going_on), (_, cancelled) = at_its_payment(holiday), at_its_payment(holiday)
        [pinned] = holiday.query(unfinished(f"id = '{going_on}'", "pinned"))
        admin.remove(pinned["pinned"])
        assert eventually(lambda: pinned["pinned"] in deployments(holiday.cloud), lambda known: not known) is False
    try:
        is_found_by_the_page(holiday, going_on, "trips/reserve [500] the invocation has a deployment id")
        cancelling_does_nothing(holiday, cancelled)
    finally:
        # when the version is registered again, then it is a new deployment, and the trips still fail
        admin.register_versions(holiday.cloud.versions().values())
    before = failures(holiday, going_on)
    holiday.cloud.admin.operate("resume", going_on)
    assert eventually(lambda: failures(holiday, going_on), lambda count: count > before) > before

    # and resuming them there without a pause is refused, which the page's command does not report
    if holiday.cloud.restate_settings == WITHOUT_VQUEUES:  # with VQueues, only while attempts follow each other quickly
        repair(holiday, "--deployment latest", going_on)
        before = failures(holiday, going_on)
        assert eventually(lambda: failures(holiday, going_on), lambda count: count > before) > before

    # until they are paused and resumed there: then one continues, and the cancelled one is compensated
    move(holiday, going_on)
    move(holiday, cancelled)
    assert (answer(holiday, going_on), answer(holiday, cancelled)) == (200, 422)
    holiday.settle()


def test_a_refund_whose_table_is_gone_ends_when_the_table_is_back(holiday: Holiday) -> None:
    with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a trip that failed, and a refund that finds no table
        trip_id, invocation = begin(holiday, "failPayment")
        assert answer(holiday, invocation) == 422
        stuck = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 3")
        [refund] = eventually(lambda: holiday.query(stuck), bool)
        is_found_by_the_page(holiday, refund["id"], "[500] ResourceNotFoundException(")

    # when the table is back and the refund is resumed, which saves waiting, then the payment is refunded
    repair(holiday, "resume payments/", f"payments/{trip_id}/refund")
    holiday.settle()
    assert holiday.statuses(trip_id)["Payments"] == ["refunded (never taken)"]
    assert len(holiday.notices(trip_id)) == 1


def test_a_refund_whose_table_is_gone_ends_on_a_version_with_another_table(holiday: Holiday) -> None:
    cloud = holiday.cloud
    with without_table(cloud, holiday.names["PaymentsTableName"]):
        trip_id, invocation = begin(holiday, "failPayment")
        assert answer(holiday, invocation) == 422
        stuck = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 0")
        assert eventually(lambda: holiday.query(stuck), bool)

        # when a version with another table becomes the latest, then the refund ends there by itself
        services = serve.services(cloud, Ports.free().ingress)
        services.environment["PAYMENTS_TABLE_NAME"] = create_table(cloud, f"Payments-{trip_id}")
        admin = cloud.admin
        try:
            assert services.start()
            admin.register({"uri": services.url})
            holiday.settle()
        finally:
            admin.register_versions(cloud.versions().values())
            services.stop()
    [row] = tables.all_of(cloud.client, f"Payments-{trip_id}")
    assert (row["pk"], row["transaction_status"]) == (trip_id, "refunded")
    deployment = admin.find(services.url)
    assert deployment
    admin.remove(deployment)


def test_the_sdk_has_no_option_for_what_a_mismatch_does() -> None:
    # The page says so. When this fails, make a mismatch pause the invocation: then it is found at once.
    assert set(inspect.signature(VMWrapper).parameters) == {"headers", "disable_payload_checks", "explicit_recovery"}
