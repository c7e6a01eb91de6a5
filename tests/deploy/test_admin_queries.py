"""The registration function's SQL queries, against a real Restate."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from demo.cloud import HolidayCloud
from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from registration.admin import Admin
from tests.deploy.state import book, deployments
from tests.driver import eventually

SCHEDULED = "SELECT id FROM sys_invocation_status WHERE status = 'scheduled' AND id = '{}'"


@pytest.fixture
def scheduled(cloud: LocalCloud, stack: dict[str, str]) -> Iterator[str]:
    """An unfinished invocation of trips without a deployment yet: it begins tomorrow."""
    assert stack
    body = {"request": {"trip_id": f"tomorrow-{uuid.uuid4()}"}}
    url = f"{cloud.ingress_url}/trips/reserve/send?delay=1d"
    answer = httpx.post(url, json=body, timeout=60, trust_env=False).raise_for_status()
    invocation: str = answer.json()["invocationId"]
    assert eventually(lambda: cloud.admin.query(SCHEDULED.format(invocation)), bool)
    yield invocation
    Admin(cloud.admin_url).kill(invocation)
    assert not eventually(lambda: cloud.admin.query(SCHEDULED.format(invocation)), lambda found: not found)


def test_unfinished_work_is_found_by_its_service_and_completed_work_is_not(cloud: HolidayCloud, scheduled: str) -> None:
    # given a booked trip with all its invocations, and one that begins tomorrow
    trip_id = book(cloud).trip_id
    pinned = "SELECT id, target FROM sys_invocation WHERE pinned_deployment_id IS NOT NULL AND status = 'completed'"
    completed = {row["id"] for row in cloud.admin.query(pinned) if trip_id in row["target"]}
    assert completed

    # when all unfinished work is queried, then the second one is found, and nothing of the first
    found = set(Admin(cloud.admin_url).unfinished(deployments(cloud), ["trips", *SERVICES]))
    assert scheduled in found
    assert not found & completed


def test_work_of_other_services_is_not_found_whatever_they_are_called(cloud: LocalCloud, scheduled: str) -> None:
    admin = Admin(cloud.admin_url)

    assert scheduled in admin.unfinished([], ["o'brien's", "trips"])
    for name in ("o'brien's", "' OR ''='", "x') OR ('1'='1", "trips'--", ""):
        assert scheduled not in admin.unfinished([name], [name])
    assert scheduled not in admin.unfinished(deployments(cloud), [])
    assert scheduled not in admin.unfinished([], [])
