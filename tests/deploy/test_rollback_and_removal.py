"""Which code Restate runs after a failed deploy, while older work is unfinished, and after the stack is destroyed.

Each test really deploys HolidayStack. Its sources are marked: every row and every answer says which version ran.
"""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import booking
from demo.cloud import HolidayCloud
from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from localcloud.deploy import cdk
from localcloud.environment import LocalCloudError
from tests.deploy import greetings, variants
from tests.deploy.state import (
    addresses,
    awakeable,
    deployments,
    deployments_of,
    published_versions,
    resolve,
    services,
    stacks,
    unfinished,
)
from tests.driver import eventually

pytestmark = pytest.mark.slow

NAMES = {"trips", *SERVICES}
WAITS = (  # a flight whose trip id begins with `waits` blocks until the test resolves an awakeable
    "    simulate(flight.run_type, reserve)\n",
    '    if ctx.key().startswith("waits"):\n'
    "        name, go = ctx.awakeable()\n"
    '        ctx.set("awakeable", name)\n'
    "        await go\n",
)
MISNAMED = ('restate.VirtualObject(\n    "payments"', 'restate.VirtualObject(\n    "paiements"')


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The path of each version of the sources. `waiting` is a v1 that blocks, `misnamed` a v2 whose payments fails."""
    folder = tmp_path_factory.mktemp("sources")
    sources = {
        **{mark: variants.code_marked(folder / mark, mark) for mark in ("v1", "v2", "v3")},
        "waiting": variants.code_marked(folder / "waiting", "v1", flights=WAITS),
        "misnamed": variants.code_marked(folder / "misnamed", "v2", payments=MISNAMED),
    }
    return {name: str(path) for name, path in sources.items()}


def deploy(cloud: HolidayCloud, lambdas: str, **variant: str) -> None:
    context = {"test:lambdas": lambdas} | {f"test:{name}": value for name, value in variant.items()}
    cloud.deploy(context, variants.APP)


def reserve(cloud: LocalCloud, trip_id: str) -> dict[str, Any]:
    body = {"request": {"trip_id": trip_id}}
    return httpx.post(f"{cloud.ingress_url}/trips/reserve", json=body, timeout=120, trust_env=False).json()


def code_that_runs(cloud: HolidayCloud) -> dict[str, str]:
    """Book a trip. Returns the version that each service ran for it."""
    trip_id = f"trip-{uuid.uuid4()}"
    answer = reserve(cloud, trip_id)
    assert answer["status"] == "success", answer
    return {"trips": answer["code"], **{kind: row["code"] for kind, row in booking.rows_of(cloud, trip_id).items()}}


def all_of(mark: str) -> dict[str, str]:
    return dict.fromkeys(("trips", *(row.booking for row in SERVICES.values())), mark)


class Waiting:
    """A trip that is blocked in `flights.reserve`."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.trip_id = f"waits-{uuid.uuid4()}"
        url = f"{cloud.ingress_url}/trips/reserve/send"
        sent = httpx.post(url, json={"request": {"trip_id": self.trip_id}}, timeout=60, trust_env=False)
        self.invocation_id: str = sent.raise_for_status().json()["invocationId"]
        found = eventually(lambda: awakeable(cloud, self.trip_id), bool)
        assert found, "the trip is not blocked"
        self._awakeable = found

    def finish(self) -> dict[str, Any]:
        """Unblock it and return its answer."""
        resolve(self.cloud, self._awakeable)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for its answer."""
        url = f"{self.cloud.ingress_url}/restate/invocation/{self.invocation_id}/attach"
        return httpx.get(url, timeout=120, trust_env=False).json()


def test_new_trips_run_the_old_code_when_a_deploy_fails_after_the_registrations(
    own_cloud: HolidayCloud, code: dict[str, str]
) -> None:
    # given v1, when v2 is deployed with a resource that fails after all four registrations
    deploy(own_cloud, code["v1"])
    before = services(own_cloud)
    with pytest.raises(LocalCloudError, match="this one always fails"):
        deploy(own_cloud, code["v2"], fails="yes")

    # then each service went to v2 and back to v1, which is two revisions, and a new trip runs v1
    assert services(own_cloud) == {name: (v1, revision + 2) for name, (v1, revision) in before.items()}
    assert code_that_runs(own_cloud) == all_of("v1")


def test_new_trips_run_the_old_code_when_a_registration_fails(own_cloud: HolidayCloud, code: dict[str, str]) -> None:
    # given v1, when a v2 is deployed whose third function, payments, offers the wrong service
    deploy(own_cloud, code["v1"])
    before = services(own_cloud)
    with pytest.raises(LocalCloudError, match="expected to offer payments, but offers paiements"):
        deploy(own_cloud, code["misnamed"])

    # then flights went to v2 and back to v1, the wrong service is not registered, and a new trip runs v1
    assert services(own_cloud)["flights"][1] == before["flights"][1] + 2
    assert services(own_cloud).keys() == NAMES
    assert code_that_runs(own_cloud) == all_of("v1")


def test_a_first_deploy_that_fails_leaves_nothing_in_restate(own_cloud: HolidayCloud, code: dict[str, str]) -> None:
    # given no stack, when the first deploy fails at the third registration or after all of them
    own_cloud.destroy()
    for lambdas, fails in (("misnamed", {}), ("v1", {"fails": "yes"})):
        with pytest.raises(LocalCloudError):
            deploy(own_cloud, code[lambdas], **fails)

        # then nothing of it is left in Restate
        assert addresses(own_cloud, set()) == set()
        assert services(own_cloud) == {}


def test_unfinished_work_ends_on_its_own_version_which_is_removed_when_it_is_drained(
    own_cloud: HolidayCloud, code: dict[str, str]
) -> None:
    # given v1 with a trip that is blocked in flights.reserve
    deploy(own_cloud, code["waiting"])
    first = set(deployments(own_cloud).values())
    trip = Waiting(own_cloud)

    # when v2 and v3 are deployed in the meantime
    for version in ("v2", "v3"):
        deploy(own_cloud, code[version])

        # then new trips run on it, and the two services with pinned work keep their v1
        assert code_that_runs(own_cloud) == all_of(version)
        pinned = set(deployments(own_cloud).values()) & first
        assert len(pinned) == (len(NAMES) if version == "v2" else 2), (
            "the version before the latest is kept, drained or not"
        )

    # and the trip and the step that was blocked finish on v1, and the later steps, being new invocations, run v3
    assert trip.finish() == {"status": "success", "trip_id": trip.trip_id, "code": "v1"}
    rows = booking.rows_of(own_cloud, trip.trip_id)
    ran = {"trips": "v1"} | {kind: row["code"] for kind, row in rows.items()}
    assert ran == all_of("v3") | {"trips": "v1", "flight": "v1"}

    # and the next deploy removes v1, which is drained
    deploy(own_cloud, code["v2"])
    assert not set(deployments(own_cloud).values()) & first
    assert len(deployments(own_cloud)) == 2 * len(NAMES), "this version and the previous one"
    assert code_that_runs(own_cloud) == all_of("v2")


def test_a_hotswap_reports_success_but_restate_runs_the_old_code_until_the_next_deploy(
    own_cloud: HolidayCloud, code: dict[str, str], tmp_path: Path
) -> None:
    # given v1
    deploy(own_cloud, code["v1"])
    before = services(own_cloud)
    published = published_versions(own_cloud)

    # when v2 is hotswapped, and cdk says that the registrations were too
    context = {"adminUrl": own_cloud.admin_url, "ingressUrl": own_cloud.ingress_url, "bundleFor": "host"}
    context |= {"disposable": "true", "test:lambdas": code["v2"]}
    arguments = ["deploy", "HolidayStack", "--hotswap", "--app", variants.APP, "--output", str(tmp_path / "cdk.out")]
    arguments += [part for name, value in context.items() for part in ("-c", f"{name}={value}")]
    cdk(arguments, own_cloud.environment(), tmp_path / "log", lambda _: None)
    said = (tmp_path / "log").read_text()
    assert len(re.findall("Custom::RestateService .* hotswapped!", said)) == len(NAMES)

    # then its versions are published but not registered
    assert len(published_versions(own_cloud) - published) == len(NAMES)
    assert services(own_cloud) == before
    assert code_that_runs(own_cloud) == all_of("v1")

    # and the next deploy registers them
    deploy(own_cloud, code["v2"])
    assert code_that_runs(own_cloud) == all_of("v2")


def test_destroy_removes_only_this_stack_and_leaves_no_unfinished_work(
    own_cloud: HolidayCloud, code: dict[str, str], tmp_path: Path
) -> None:
    # given another stack's service in the same Restate, and two blocked trips
    own_cloud.deploy(greetings.written(tmp_path), greetings.APP, greetings.STACK)
    of_the_other = deployments_of(own_cloud, "greeter")
    deploy(own_cloud, code["waiting"])
    late, endless = Waiting(own_cloud), Waiting(own_cloud)

    # when the stack is destroyed, and one trip is unblocked as soon as trips is private
    with ThreadPoolExecutor() as threads:
        destroyed = threads.submit(own_cloud.destroy)
        refusal = eventually(lambda: str(reserve(own_cloud, "new")), lambda answer: "not public" in answer)
        assert "not public" in refusal
        finished = late.finish()
        destroyed.result()
    assert "HolidayStack" not in stacks(own_cloud)

    # then that one finished first, and the other was killed
    assert finished == {"status": "success", "trip_id": late.trip_id, "code": "v1"}
    assert endless.answer()["message"] == "killed"

    # and only the other stack's service is left, and it works
    assert set(deployments(own_cloud)) == of_the_other
    assert services(own_cloud).keys() == {"greeter"}
    assert eventually(lambda: unfinished(own_cloud), lambda left: not left) == []
    url = f"{own_cloud.ingress_url}/greeter/greet"
    assert httpx.post(url, json="Ann", timeout=60, trust_env=False).json() == "Hello Ann"
