"""`make trip`: one trip followed through the logs of all four functions with one query."""

import re

import pytest

from demo.cloud import HolidayCloud
from demo.trip import query_for
from localcloud.cloud import LocalCloud
from tests.deploy.test_local_cloud import command
from tests.driver import Holiday, eventually
from tests.expectations import FIRST_STEPS, LATER_STEPS

LINE = re.compile(r"^(?P<time>\d\d:\d\d:\d\d\.\d{3}) +(?P<ms>\d+) +(?P<what>.*?) *$", re.MULTILINE)


@pytest.fixture(scope="module")
def holiday(cloud: HolidayCloud, stack: dict[str, str]) -> Holiday:
    return Holiday(cloud, stack)


def followed(cloud: LocalCloud, trip_id: str | None, until: str) -> tuple[int, str]:
    """How `make trip` ends and what it prints, once that matches: a function's last lines take a moment to arrive."""

    def look() -> tuple[int, str]:
        # "--", as the Makefile has it: a trip id may begin with a hyphen
        trip = command(cloud, "trip", *(["--", trip_id] if trip_id else []))
        said, _ = trip.communicate(timeout=60)
        return trip.returncode, said

    return eventually(look, lambda seen: bool(re.search(until, seen[1])))


@pytest.mark.parametrize("trip_id", ["follow-me", '-a/b"c\\d.[e]* é'])
def test_a_trip_is_followed_through_all_four_functions_in_order(holiday: Holiday, trip_id: str) -> None:
    # given a trip, and one whose id only looks alike
    assert holiday.reserve({"trip_id": trip_id}).status_code == 200
    assert holiday.reserve({"trip_id": trip_id.replace(".", "x") + "2"}).status_code == 200

    # when the first is followed
    status, said = followed(holiday.cloud, trip_id, until="trips.notify +done")

    # then every function's lines of it are there, once and in order, and the query that found them is
    assert status == 0
    lines = list(LINE.finditer(said))
    expected = [line for step in FIRST_STEPS for line in (f"trips.reserve {step}", f"{step} done")]
    expected += [f"trips.reserve {step}" for step in LATER_STEPS]
    side_by_side = sorted(f"{step} done" for step in LATER_STEPS)  # in any order
    ending = ["trips.reserve trips.notify", "trips.reserve done", "trips.notify done"]
    logged = [" ".join(line["what"].split()) for line in lines]
    confirmed = [line for line in logged if line in side_by_side]
    assert [line for line in logged if line not in side_by_side] == expected + ending
    assert sorted(confirmed) == side_by_side
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert lines[0]["ms"] == "0" and int(lines[-1]["ms"]) > 0
    assert "fields @timestamp, @message | filter @message like /" in said


def test_a_trip_that_failed_shows_what_failed_and_every_undo(holiday: Holiday) -> None:
    assert holiday.reserve({"trip_id": "follow-failure", "run_type": "failPayment"}).status_code == 422

    status, said = followed(holiday.cloud, "follow-failure", until="trips.notify +done")

    assert status == 0
    for line in ("payments.process +refused: simulated", "payments.refund +done", "cars.cancel", "flights.cancel"):
        assert re.search(line, said)


def test_an_unknown_trip_is_one_sentence_and_a_failure(cloud: LocalCloud, stack: dict[str, str]) -> None:
    assert stack

    status, said = followed(cloud, "nobody-s", until="nobody-s")

    assert status == 1
    assert said.startswith("✗ No function has logged anything about trip 'nobody-s'")
    assert said.count("\n") == 1


def test_without_an_id_it_is_the_demo_s_trip_or_a_sentence_that_says_how(holiday: Holiday) -> None:
    # given a cloud without a demo
    status, said = followed(holiday.cloud, None, until="✗")
    assert (status, said.count("\n")) == (1, 1)
    assert "make trip ID=" in said and "make demo" in said

    # when two demos have booked their trips, then the later one's is followed
    for trip_id in ("demo-0000ff-success", "demo-00000a-success"):
        assert holiday.reserve({"trip_id": trip_id}).status_code == 200
        assert followed(holiday.cloud, trip_id, until="trips.notify +done")[0] == 0
    status, said = followed(holiday.cloud, None, until="trips.notify +done")
    assert status == 0
    assert query_for("demo-00000a-success") in said
