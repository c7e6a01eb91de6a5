"""docs/stuck.md, "An invocation that never ends": trips whose code changed while they were under way."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from demo import serve
from localcloud.invocations import unfinished
from tests.deploy.blocked_trips import at_its_payment, without_table
from tests.deploy.runbook import MISMATCH, answer, cancelling_does_nothing, is_found_by_the_page, move, repair
from tests.deploy.serving import Serving
from tests.deploy.variants import edit, edited
from tests.driver import Holiday, eventually

pytestmark = pytest.mark.slow

CAR = "        await saga.step(cars.reserve, car, compensation=cars.cancel)\n"
PAYMENT = "        await saga.step(payments.process, payment, compensation=payments.refund)\n"
PAYMENT_FIRST = {"trips.py": (CAR + PAYMENT, PAYMENT + CAR)}


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


def test_trips_that_a_reload_interrupts_can_be_finished_on_their_code_or_cancelled(
    holiday: Holiday, tmp_path: Path
) -> None:
    sources = tmp_path / "lambdas"
    with serving_from(holiday, sources, {}) as serving:
        # given trips in `make serve` whose steps were reordered while they were under way
        with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
            kept, moved, cancelled, killed = (at_its_payment(holiday) for _ in range(4))
            reload(serving, sources, PAYMENT_FIRST)
        for _, invocation in (kept, moved, cancelled, killed):
            is_found_by_the_page(holiday, invocation, f"trips/reserve {MISMATCH}")

        # then cancelling does nothing yet, and killing leaves the reservations
        cancelling_does_nothing(holiday, cancelled[1])
        holiday.cloud.admin.operate("kill", killed[1])
        assert answer(holiday, killed[1]) == 409
        assert holiday.statuses(killed[0])["Flights"] == ["pending"]
        assert holiday.notices(killed[0]) == []

        # when `make serve` has ended, then a trip can continue on Lambda, where the code is unchanged
        serving.stop()
        move(holiday, moved[1])
        move(holiday, cancelled[1])
        assert answer(holiday, moved[1]) == 200
        assert answer(holiday, cancelled[1]) == 422

        # and one that was not moved continues when the original code is served at that address again
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


def test_a_trip_that_was_moved_to_other_code_is_moved_back(holiday: Holiday, tmp_path: Path) -> None:
    with ExitStack() as serving:
        with without_table(holiday.cloud, holiday.names["PaymentsTableName"]):
            # given a trip that began on Lambda, when it is resumed on changed code that is now the latest
            _, invocation = at_its_payment(holiday)
            [began] = holiday.query(unfinished(f"id = '{invocation}'", "pinned"))
            serving.enter_context(serving_from(holiday, tmp_path / "lambdas", PAYMENT_FIRST))
            repair(holiday, "--deployment latest", invocation)  # it is suspended, so it needs no pause
        is_found_by_the_page(holiday, invocation, f"trips/reserve {MISMATCH}")

        # then it can be moved back, and ends where it began
        move(holiday, invocation, began["pinned"])
        assert answer(holiday, invocation) == 200
        holiday.settle()
