"""`make rows` shows the rows of a trip, and `make cancel` cancels a trip that is under way, both by trip id."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from localcloud.invocations import unfinished
from tests.deploy.command import start_command
from tests.driver import Holiday, eventually
from tests.expectations import TABLES


@pytest.fixture(scope="module")
def holiday(cloud: HolidayCloud, stack: dict[str, str]) -> Holiday:
    return Holiday(cloud, stack)


def run(cloud: LocalCloud, *arguments: str) -> tuple[int, str]:
    """Run a command. Returns its exit status and its output without line breaks."""
    process = start_command(cloud, *arguments)
    printed, _ = process.communicate(timeout=60)
    return process.returncode, " ".join(printed.split())


def test_every_row_and_every_notice_is_shown_with_its_run(holiday: Holiday) -> None:
    # given a trip that failed, was booked at the second attempt, and was requested again
    request = {"trip_id": "rows-it's", "rental": "Volvo"}
    answers = [holiday.reserve(request | failure) for failure in ({"run_type": "failNotification"}, {}, {})]
    assert [answer.status_code for answer in answers] == [422, 200, 409]
    holiday.settle()

    # when its rows are shown
    status, said = run(holiday.cloud, "rows", "--", request["trip_id"])

    # then each row of each table is there, with the run that made it
    assert status == 0
    runs = {row.compensated: 1 for row in SERVICES.values()} | {"confirmed": 2}
    rows = holiday.rows(request["trip_id"])
    assert {table: len(found) for table, found in rows.items()} == dict.fromkeys(TABLES.values(), 2)
    for name, service in holiday.services.items():
        for row in rows[TABLES[name]]:
            word = row["transaction_status"]
            assert f"{service.booking} {word} {runs[word]} {row['id']}" in said
    assert said.count("rental Volvo") == 2

    # and the first run's rows come before the second's
    assert re.findall(rf" ({'|'.join(runs)}) \d ", said) == [row.compensated for row in SERVICES.values()] + [
        "confirmed"
    ] * len(SERVICES)

    # and the notices are in the same order, and each run has its answer
    assert re.search(
        r"failure 1 published Trip rows-it's was not booked by this request: trips.notify failed.*"
        r"success 2 published Trip rows-it's is booked\.",
        said,
    )
    for number, (answer, told) in enumerate(zip(answers, ("[422] Trip", "[200] booked", "[409] Trip"), strict=True), 1):
        invocation = holiday.invocation_of(answer)
        assert re.search(rf" {number} [0-9:.]+ {invocation} {re.escape(told)}", said)


def later(holiday: Holiday, trip_id: str) -> str:
    """The invocation of a trip that begins in an hour."""
    invocation = holiday.send({"trip_id": trip_id}, delay="1h")
    assert eventually(lambda: holiday.query(unfinished(f"id = '{invocation}'")), bool)
    return invocation


@pytest.mark.parametrize(
    ("name", "says"), [("rows", "Trip 'nobody-s' not found"), ("cancel", "Restate knows no trip 'nobody-s'")]
)
def test_an_unknown_trip_is_reported_in_one_sentence_and_fails(holiday: Holiday, name: str, says: str) -> None:
    status, said = run(holiday.cloud, name, "--", "nobody-s")

    assert status == 1
    assert said.startswith(f"✗ {says}")


def test_the_rows_of_a_trip_that_was_purged_are_shown_without_a_run(holiday: Holiday) -> None:
    trip_id = "rows-purged"
    assert holiday.reserve({"trip_id": trip_id}).status_code == 200
    holiday.settle()
    of_this_trip = f"SELECT id FROM sys_invocation WHERE target_service_key = '{trip_id}'"
    for invocation in holiday.query(of_this_trip):
        holiday.purge(invocation["id"])

    status, said = run(holiday.cloud, "rows", "--", trip_id)

    assert status == 0
    [flight] = holiday.rows(trip_id)["Flights"]
    assert f"flight confirmed ? {flight['id']}" in said
    assert "No notice: none was sent, or Restate no longer" in said


def test_a_trip_that_has_not_begun_is_shown_and_cancelled_and_no_other_is(holiday: Holiday) -> None:
    # given a trip that is scheduled twice, another scheduled trip, and a booked one
    first, second, other = (later(holiday, trip_id) for trip_id in ("cancel-later", "cancel-later", "cancel-other"))
    assert holiday.reserve({"trip_id": "cancel-booked"}).status_code == 200

    # then the first one is shown, although no table or log contains it
    for name, nothing in (("rows", "No row: nothing has been reserved. No notice"), ("trip", "No function has")):
        status, said = run(holiday.cloud, name, "--", "cancel-later")
        assert status == 0 and said.startswith(nothing)
        assert re.search(rf" 1 [0-9:.]+ {first} not begun \(scheduled\) 2 [0-9:.]+ {second} not begun", said)
        assert other not in said

    # when it is cancelled, then both of its runs are gone, and the other trip is not
    status, said = run(holiday.cloud, "cancel", "--", "cancel-later")
    assert (status, said) == (0, " ".join(f"{each} was cancelled before it began." for each in (first, second)))
    assert [row["id"] for row in holiday.query(unfinished("status = 'scheduled'"))] == [other]
    assert run(holiday.cloud, "cancel", "--", "cancel-other")[0] == 0

    # and the booked one is not cancelled
    status, said = run(holiday.cloud, "cancel", "--", "cancel-booked")
    assert (status, said.endswith("nothing to cancel. Its last answer was: [200] booked")) == (1, True)
    assert set(holiday.statuses("cancel-booked")["Payments"]) == {"confirmed"}


@pytest.mark.slow
def test_the_printed_aws_cli_line_works_whatever_the_shell_s_settings(holiday: Holiday, tmp_path: Path) -> None:
    # given the AWS CLI, which is not part of this project, so uv fetches it
    uvx = Path(sys.executable).parent / "uvx"
    aws = tmp_path / "aws"
    aws.write_text(f'#!/bin/sh\nexec {shlex.quote(str(uvx))} --from awscli aws "$@"\n')
    aws.chmod(0o755)
    assert holiday.reserve({"trip_id": "seen-by-the-cli"}).status_code == 200

    # when the last line of `make up` is pasted into a shell that is configured for a real account
    up = start_command(holiday.cloud, "up")
    printed, _ = up.communicate(timeout=300)
    assert up.returncode == 0, printed
    [line] = re.findall(r"^  (AWS_ACCESS_KEY_ID=.+ aws .+)$", printed, re.MULTILINE)
    theirs = {"AWS_PROFILE": "theirs", "AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": str(tmp_path / "config")}
    Path(theirs["AWS_CONFIG_FILE"]).write_text(
        "[profile theirs]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/x\n"
    )
    shell = os.environ | theirs | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], env=shell, capture_output=True, text=True, check=False)

    # then it shows the trip
    assert done.returncode == 0, done.stderr
    assert "seen-by-the-cli" in done.stdout
