"""docs/operations.md, "An invocation that never ends": each sort is made, found and repaired as the page says.

One that is too large to start is in tests/faults/test_body_sizes.py.
"""

import inspect
import re
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from restate.vm import VMWrapper

from demo import serve
from localcloud import tables
from localcloud.invocations import unfinished
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.conftest import in_both_modes
from tests.deploy.state import deployments
from tests.deploy.test_operations import commands, comparable, prints, run, section, taken_away
from tests.deploy.test_serve import Serving
from tests.deploy.variants import edit, edited
from tests.driver import Holiday, eventually
from tests.one_process import create_table

pytestmark = pytest.mark.slow

SETTING = commands(section("Find, pause, resume, cancel a trip"))[0][0]
(FIND, SHOWN), *REPAIRS = commands(section("An invocation that never ends"))
MISMATCH = "[570] Found a mismatch between the code paths"
CAR = "        await saga.step(cars.reserve, car, compensation=cars.cancel)\n"
PAYMENT = "        await saga.step(payments.process, payment, compensation=payments.refund)\n"
PAYMENT_FIRST = {"trips.py": (CAR + PAYMENT, PAYMENT + CAR)}


@pytest.fixture(params=in_both_modes("on_lambda"))
def holiday(request: pytest.FixtureRequest) -> Holiday:
    return request.getfixturevalue(request.param)


def begin(holiday: Holiday, run_type: str = "") -> tuple[str, str]:
    """Send for a trip: its id, and that of the invocation that books it."""
    request = {"trip_id": f"never-{uuid.uuid4().hex[:8]}"} | ({"run_type": run_type} if run_type else {})
    return request["trip_id"], holiday.send(request)


def at_its_payment(holiday: Holiday) -> tuple[str, str]:
    """A trip that holds its flight and its car, and whose payment fails: its table is gone."""
    trip_id, invocation = begin(holiday)
    failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 0")
    assert eventually(lambda: holiday.query(failing), bool)
    return trip_id, invocation


def answer(holiday: Holiday, invocation: str) -> int:
    """What the caller is told in the end."""
    return holiday.answer(invocation).status_code


def failures(holiday: Holiday, invocation: str) -> int:
    """How many of its attempts have failed. It must not have ended."""
    [found] = holiday.query(unfinished(f"id = '{invocation}'"))
    return found["failures"]


def is_never_ending(holiday: Holiday, invocation: str, sort: str) -> None:
    """The page's query finds it, and prints the line of its sort."""
    [shown] = [line for line in comparable("\n".join(SHOWN)) if sort in line]
    look = partial(run, holiday.cloud, f"{SETTING}\n{FIND} | grep -E 'TARGET|{invocation}'")
    here = [re.sub(r"/\w+/", "/any/", shown)]

    def is_right(seen: tuple[int, str]) -> bool:
        return prints(here, (seen[0], re.sub(r"/never-\w+/", "/any/", seen[1])))

    seen = eventually(look, is_right, timeout=60)
    assert is_right(seen), seen[1]


def repair(holiday: Holiday, verb: str, *names: str) -> None:
    """Give the page's command with this in it, for these invocations, deployments and targets instead of the page's."""
    [(command, expected)] = [(command, lines) for command, lines in REPAIRS if verb in command]
    for name in names:
        shown = r"payments/\S+" if "/" in name else rf"\b{name.partition('_')[0]}_1\w+"
        command, count = re.subn(shown, name, command)
        assert count == 1, command
    seen = run(holiday.cloud, command)
    assert prints(expected, seen), f"{command}\n{seen[1]}"


def move(holiday: Holiday, invocation: str, deployment: str = "latest") -> None:
    """Pause it and resume it on a deployment, with the page's commands."""
    repair(holiday, "pause", invocation)
    paused = unfinished(f"id = '{invocation}' AND status = 'paused'")
    assert eventually(lambda: holiday.query(paused), bool)
    if deployment == "latest":
        repair(holiday, "--deployment latest", invocation)
    else:
        repair(holiday, "--deployment dp_", deployment, invocation)


def cancelling_is_in_vain(holiday: Holiday, invocation: str) -> None:
    before = failures(holiday, invocation)
    holiday.cloud.admin.operate("cancel", invocation)
    assert eventually(lambda: failures(holiday, invocation), lambda count: count > before + 1) > before + 1


@contextmanager
def serving_from(holiday: Holiday, sources: Path, edits: dict[str, tuple[str, str]]) -> Generator[Serving]:
    """`make serve` on a copy of the sources with these edits."""
    serving = Serving(holiday.cloud, edited(sources, edits))
    try:
        yield serving
    finally:
        serving.stop()
        serve.clear_stale(holiday.cloud, print, serving.port)


def reload(serving: Serving, sources: Path, edits: dict[str, tuple[str, str]]) -> None:
    """Change a file, as an editor does, and wait until it is served."""
    before = serving.said().count("reloaded.")
    for name, change in edits.items():
        edit(sources / "holiday" / name, change)
    assert eventually(lambda: serving.said().count("reloaded."), lambda count: count > before) > before


def test_a_copy_that_was_restarted_from_a_middle_step_is_killed_and_the_trip_stands(holiday: Holiday) -> None:
    # given a booked trip that somebody restarts from a step in the middle
    trip_id, original = begin(holiday)
    assert answer(holiday, original) == 200
    holiday.settle()
    before = holiday.rows(trip_id)
    holiday.cloud.admin.operate("restart-as-new?from=3", original)
    restarted = f"SELECT id FROM sys_invocation WHERE restarted_from = '{original}'"
    [copy] = eventually(lambda: holiday.query(restarted), bool)

    # when it is looked for with the page's query, then it is found, and cancelling it is in vain
    is_never_ending(holiday, copy["id"], f"trips/reserve inv {MISMATCH}")
    cancelling_is_in_vain(holiday, copy["id"])

    # and when it is killed, then the trip stands as it did
    repair(holiday, "kill", copy["id"])
    holiday.settle()
    assert holiday.rows(trip_id) == before
    assert len(holiday.notices(trip_id)) == 1


@pytest.mark.slow
def test_trips_under_a_reload_end_on_the_code_that_they_began_on_or_are_cleaned_up_after(
    holiday: Holiday, tmp_path: Path
) -> None:
    sources = tmp_path / "lambdas"
    with serving_from(holiday, sources, {}) as serving:
        # given trips that were under way in `make serve` when their steps changed places
        with taken_away(holiday.cloud, holiday.names["PaymentsTableName"]):
            kept, moved, cancelled, killed = (at_its_payment(holiday) for _ in range(4))
            reload(serving, sources, PAYMENT_FIRST)
        for _, invocation in (kept, moved, cancelled, killed):
            is_never_ending(holiday, invocation, f"trips/reserve {MISMATCH}")

        # then cancelling does nothing yet, and killing leaves what was reserved
        cancelling_is_in_vain(holiday, cancelled[1])
        holiday.cloud.admin.operate("kill", killed[1])
        assert answer(holiday, killed[1]) == 409
        assert holiday.statuses(killed[0])["Flights"] == ["pending"]
        assert holiday.notices(killed[0]) == []

        # when `make serve` has ended, then a trip goes on where the code is as it was: on Lambda
        serving.stop()
        move(holiday, moved[1])
        move(holiday, cancelled[1])
        assert answer(holiday, moved[1]) == 200
        assert answer(holiday, cancelled[1]) == 422

        # and one that stays goes on by itself when the code is put back and served again at that address
        (sources / "holiday" / "trips.py").write_text((serve.LAMBDAS / "holiday" / "trips.py").read_text())
        again = serve.services(holiday.cloud, serving.port)
        try:
            assert again.start()
            assert answer(holiday, kept[1]) == 200
        finally:
            again.stop()
    holiday.settle()
    for trip_id, status in ((kept[0], "confirmed"), (moved[0], "confirmed"), (cancelled[0], "cancelled")):
        assert holiday.statuses(trip_id)["Flights"] == [status]
        assert len(holiday.notices(trip_id)) == 1


@pytest.mark.slow
def test_a_trip_that_was_moved_to_other_code_is_moved_back(holiday: Holiday, tmp_path: Path) -> None:
    with ExitStack() as serving:
        with taken_away(holiday.cloud, holiday.names["PaymentsTableName"]):
            # given a trip that began on Lambda, when the latest code becomes another and it is resumed there
            _, invocation = at_its_payment(holiday)
            [began] = holiday.query(unfinished(f"id = '{invocation}'", "pinned"))
            serving.enter_context(serving_from(holiday, tmp_path / "lambdas", PAYMENT_FIRST))
            repair(holiday, "--deployment latest", invocation)  # it is suspended: without a pause
        is_never_ending(holiday, invocation, f"trips/reserve {MISMATCH}")

        # then it ends where it began
        move(holiday, invocation, began["pinned"])
        assert answer(holiday, invocation) == 200
        holiday.settle()


def test_a_trip_whose_deployment_is_gone_goes_on_with_the_next(holiday: Holiday) -> None:
    admin = holiday.cloud.admin
    with taken_away(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given trips whose deployment somebody removes by force
        (_, going_on), (_, cancelled) = at_its_payment(holiday), at_its_payment(holiday)
        [pinned] = holiday.query(unfinished(f"id = '{going_on}'", "pinned"))
        admin.remove(pinned["pinned"])
        assert eventually(lambda: pinned["pinned"] in deployments(holiday.cloud), lambda known: not known) is False
    try:
        is_never_ending(holiday, going_on, "trips/reserve [500] the invocation has a deployment id")
        cancelling_is_in_vain(holiday, cancelled)
    finally:
        # when the version is registered again, then it is another deployment, and they wait
        admin.register_versions(holiday.cloud.versions().values())
    before = failures(holiday, going_on)
    holiday.cloud.admin.operate("resume", going_on)
    assert eventually(lambda: failures(holiday, going_on), lambda count: count > before) > before

    # and resuming them there without a pause is refused, which the page's command does not say
    if holiday.cloud.restate_settings == WITHOUT_VQUEUES:  # with them, only while the attempts follow each other fast
        repair(holiday, "--deployment latest", going_on)
        before = failures(holiday, going_on)
        assert eventually(lambda: failures(holiday, going_on), lambda count: count > before) > before

    # until they are paused and resumed there: one goes on, and the one that was cancelled is compensated
    move(holiday, going_on)
    move(holiday, cancelled)
    assert (answer(holiday, going_on), answer(holiday, cancelled)) == (200, 422)
    holiday.settle()


def test_a_refund_whose_table_is_gone_ends_when_the_table_is_back(holiday: Holiday) -> None:
    with taken_away(holiday.cloud, holiday.names["PaymentsTableName"]):
        # given a trip that failed, and a refund that finds no table
        trip_id, invocation = begin(holiday, "failPayment")
        assert answer(holiday, invocation) == 422
        stuck = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 3")
        [refund] = eventually(lambda: holiday.query(stuck), bool)
        is_never_ending(holiday, refund["id"], "[500] ResourceNotFoundException(")

    # when the table is back, and it is resumed rather than waited for, then the payment is refunded
    repair(holiday, "resume payments/", f"payments/{trip_id}/refund")
    holiday.settle()
    assert holiday.statuses(trip_id)["Payments"] == ["refunded (never taken)"]
    assert len(holiday.notices(trip_id)) == 1


def test_a_refund_whose_table_is_gone_ends_on_the_next_version_if_that_has_another(holiday: Holiday) -> None:
    cloud = holiday.cloud
    with taken_away(cloud, holiday.names["PaymentsTableName"]):
        trip_id, invocation = begin(holiday, "failPayment")
        assert answer(holiday, invocation) == 422
        stuck = unfinished(f"target = 'payments/{trip_id}/refund' AND failures > 0")
        assert eventually(lambda: holiday.query(stuck), bool)

        # when a version with another table is the latest, then the refund ends there by itself
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


def test_the_sdk_does_not_let_us_say_what_a_mismatch_leads_to() -> None:
    # The page says so. When this fails, let a mismatch pause: it is found at once then, and not retried meanwhile.
    assert set(inspect.signature(VMWrapper).parameters) == {"headers", "disable_payload_checks", "explicit_recovery"}
