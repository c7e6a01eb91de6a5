"""Trips that cannot continue because a table is missing."""

import uuid
from collections.abc import Generator
from contextlib import contextmanager

from localcloud.cloud import LocalCloud
from localcloud.invocations import unfinished
from tests.driver import Holiday, eventually
from tests.one_process import create_table


@contextmanager
def without_table(cloud: LocalCloud, table: str) -> Generator[None]:
    """Delete a table, as somebody might by mistake, and create it again at the end."""
    dynamodb = cloud.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    try:
        yield
    finally:
        create_table(cloud, table)


def begin(holiday: Holiday, run_type: str = "") -> tuple[str, str]:
    """Begin a trip without waiting for it. Returns its id and the id of the invocation that books it."""
    request = {"trip_id": f"never-{uuid.uuid4().hex[:8]}"} | ({"run_type": run_type} if run_type else {})
    return request["trip_id"], holiday.send(request)


def at_its_payment(holiday: Holiday) -> tuple[str, str]:
    """Begin a trip and wait until its payment fails. The payments table must be missing."""
    trip_id, invocation = begin(holiday)
    failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 0")
    assert eventually(lambda: holiday.query(failing), bool)
    return trip_id, invocation
