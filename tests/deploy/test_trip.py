"""`make trip` follows one trip through the logs of all four functions with one query."""

import re

import httpx
import pytest

from demo import trip
from demo.cloud import HolidayCloud
from demo.trip import query_for
from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError
from tests.deploy.command import start_command
from tests.driver import Holiday, eventually
from tests.expectations import FIRST_STEPS, LATER_STEPS

LINE = re.compile(r"^(?P<time>\d\d:\d\d:\d\d\.\d{3}) +(?P<ms>\d+) +(?P<run>\d+|\?) +(?P<what>.*?) *$", re.MULTILINE)


@pytest.fixture(scope="module")
def holiday(cloud: HolidayCloud, stack: dict[str, str]) -> Holiday:
    return Holiday(cloud, stack)


def followed(cloud: LocalCloud, trip_id: str | None, until: str) -> tuple[int, str]:
    """Run `make trip` until its output matches, as log lines arrive late. Returns its exit status and output."""

    def look() -> tuple[int, str]:
        # "--", as the Makefile has it: a trip id may begin with a hyphen
        command = start_command(cloud, "trip", *(["--", trip_id] if trip_id else []))
        said, _ = command.communicate(timeout=60)
        return command.returncode, said

    return eventually(look, lambda seen: bool(re.search(until, seen[1])))


def purge(holiday: Holiday, invocation_id: str) -> None:
    """Purge an invocation and its idempotency key, as Restate does after a day."""
    purge = f"{holiday.cloud.admin_url}/invocations/{invocation_id}/purge"
    httpx.patch(purge, trust_env=False, timeout=60).raise_for_status()
    known = f"SELECT id FROM sys_invocation_status WHERE id = '{invocation_id}'"
    assert eventually(lambda: holiday.query(known), lambda found: not found) == []


@pytest.mark.parametrize("trip_id", ["follow-me", '-a/b"c\\d.[e]* é'])
def test_a_trip_is_followed_through_all_four_functions_in_order(holiday: Holiday, trip_id: str) -> None:
    # given a trip, and one with a similar id
    assert holiday.reserve({"trip_id": trip_id}).status_code == 200
    assert holiday.reserve({"trip_id": trip_id.replace(".", "x") + "2"}).status_code == 200

    # when the first one is followed
    status, said = followed(holiday.cloud, trip_id, until="trips.notify +done")

    # then every function's lines are there, once and in order, and so is the query
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
    assert {line["run"] for line in lines} == {"1"}
    assert "fields @timestamp, @message | filter @message like /" in said


def test_a_trip_that_failed_shows_what_failed_and_every_compensation(holiday: Holiday) -> None:
    assert holiday.reserve({"trip_id": "follow-failure", "run_type": "failPayment"}).status_code == 422

    status, said = followed(holiday.cloud, "follow-failure", until="trips.notify +done")

    assert status == 0
    for line in ("payments.process +refused: simulated", "payments.refund +done", "cars.cancel", "flights.cancel"):
        assert re.search(line, said)


def test_the_runs_of_one_trip_id_are_told_apart(holiday: Holiday) -> None:
    # given a trip that failed, was requested with the same key after it was purged, was booked, and was
    # requested once more
    trip_id, tried = "follow-runs", {"trip_id": "follow-runs", "run_type": "failFlightsReservation"}
    first = holiday.reserve(tried, idempotency_key=trip_id)
    holiday.settle()
    purge(holiday, holiday.invocation_of(first))
    again = holiday.reserve(tried, idempotency_key=trip_id)
    assert holiday.invocation_of(again) == holiday.invocation_of(first)
    booked, duplicate = holiday.reserve({"trip_id": trip_id}), holiday.reserve({"trip_id": trip_id})

    # when it is followed
    status, printed = followed(
        holiday.cloud, trip_id, until="refused: duplicate(.|\n)+trips.reserve +refused: duplicate"
    )

    # then each line has its run
    assert status == 0
    steps: dict[str, set[str]] = {}
    for line in LINE.finditer(printed):
        steps.setdefault(line["run"], set()).add(" ".join(line["what"].split()))
    assert steps["1"] >= {"flights.reserve refused: simulated", "flights.cancel done", "trips.notify done"}
    assert steps["2"] == {"trips.reserve flights.reserve"} | {
        f"{handler} refused: rolled back" for handler in ("flights.reserve", "trips.reserve")
    }
    assert steps["3"] >= {"trips.reserve done", *(f"{step} done" for step in (*FIRST_STEPS, *LATER_STEPS))}
    assert steps["4"] == {"trips.reserve flights.reserve"} | {
        f"{handler} refused: duplicate" for handler in ("flights.reserve", "trips.reserve")
    }
    # and each run has its invocation and its answer
    said = " ".join(printed.split())
    for number, answer in enumerate((first, again, booked, duplicate), 1):
        assert re.search(rf" {number} [0-9:.]+ {holiday.invocation_of(answer)} ", said)
    for words in ("refused: simulated", "[422] Trip follow-runs was rolled", "[200] booked", "[409] Trip follow-runs"):
        assert words in said


def test_an_unknown_trip_is_reported_in_one_sentence_and_fails(cloud: LocalCloud, stack: dict[str, str]) -> None:
    assert stack

    status, said = followed(cloud, "nobody-s", until="nobody-s")

    assert status == 1
    assert said.startswith("✗ No function has logged anything about trip 'nobody-s'")
    assert said.count("\n") == 1


def test_without_an_id_and_without_a_demo_the_error_says_how_to_name_a_trip(
    holiday: Holiday, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tests run the demo in this cloud, so this one looks for a demo whose trips have other names."""
    monkeypatch.setattr(trip, "OF_THE_DEMO", "another-demo-[0-9a-f]+-success")

    with pytest.raises(LocalCloudError, match=r"make trip ID=.*make demo"):
        trip.last_of_the_demo(holiday.cloud)


def test_without_an_id_it_follows_the_successful_trip_of_the_last_demo(holiday: Holiday) -> None:
    for trip_id in ("demo-0000ff-success", "demo-00000a-success"):
        assert holiday.reserve({"trip_id": trip_id}).status_code == 200
        assert followed(holiday.cloud, trip_id, until="trips.notify +done")[0] == 0

    status, said = followed(holiday.cloud, None, until="trips.notify +done")

    assert status == 0
    assert query_for("demo-00000a-success") in said
