"""docs/operations.md, followed: its commands are run, and what it shows is what they print."""

import os
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest

from demo.cloud import HolidayCloud
from demo.trip import query_for
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.invocations import unfinished
from localcloud.logs import pattern_of
from tests.conftest import in_both_modes
from tests.deploy.command import of
from tests.driver import Holiday, eventually
from tests.expectations import TABLES
from tests.one_process import create_table

PAGE = (ROOT / "docs" / "operations.md").read_text()
CHANGING = re.compile(r"\b(pause|resume|cancel) ")


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the lines that the page shows it to print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in dedent(block).splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def comparable(printed: str) -> list[str]:
    """What is printed, without what differs from one run to the next: ids, times, widths, colours."""
    without = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    without = re.sub(r"\b(inv|dp)_\w+", r"\1", without)
    without = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "at", without)
    return [" ".join(line.split()) for line in without.splitlines()]


def prints(expected: list[str], seen: tuple[int, str]) -> bool:
    """Whether a command that ended like this succeeded and printed each of the lines."""
    status, printed = seen
    return status == 0 and set(expected) <= set(comparable(printed))


def run(cloud: LocalCloud, command: str) -> tuple[int, str]:
    """As a person would, with the tools that the page names first on PATH."""
    path = f"{Path(sys.executable).parent}:{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PATH": path, "HOME": str(cloud.directory), "RESTATE_ADMIN_URL": cloud.admin_url},
    )
    return done.returncode, done.stdout


def here(cloud: LocalCloud, command: str) -> str:
    """A command of a page, for this cloud instead of the default one."""
    cancel = f"PYTHONPATH={ROOT} {shlex.join([*of(cloud, 'demo'), 'cancel', '--'])}"
    urls = {"http://127.0.0.1:8080": cloud.ingress_url, "http://127.0.0.1:9070": cloud.admin_url}
    for default, own in {**urls, "make cancel ID=": f"{cancel} "}.items():
        command = command.replace(default, own)
    return command


@contextmanager
def taken_away(cloud: LocalCloud, table: str) -> Generator[None]:
    """A table is gone, as after somebody's mistake, and is put back."""
    dynamodb = cloud.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    try:
        yield
    finally:
        create_table(cloud, table)


def stuck(holiday: Holiday) -> tuple[str, str]:
    """The id of a trip whose payment fails again and again, and of the invocation that books it."""
    trip_id = f"stuck-{uuid.uuid4().hex[:6]}"
    invocation = holiday.send({"trip_id": trip_id})
    failing = unfinished(f"target = 'payments/{trip_id}/process' AND failures > 3")
    assert eventually(lambda: holiday.query(failing), bool)
    return trip_id, invocation


@pytest.mark.parametrize("mode", in_both_modes("on_lambda"))
def test_a_trip_is_found_paused_resumed_and_cancelled_by_the_page_s_commands(
    request: pytest.FixtureRequest, mode: str
) -> None:
    holiday: Holiday = request.getfixturevalue(mode)
    cloud = holiday.cloud
    (setting, _), *shown = commands(section("Find, pause, resume, cancel a trip"))
    assert len(shown) == 8 and all(lines for _, lines in shown)

    with taken_away(cloud, holiday.names["PaymentsTableName"]):
        # given a trip that is as stuck as the page's
        trip_id, _ = stuck(holiday)
        for command, lines in shown:
            # when a command of the page is given
            own = here(cloud, command).replace("narvik", trip_id)
            expected = comparable("\n".join(lines).replace("narvik", trip_id))
            look = partial(run, cloud, f"{setting}\n{own}")

            # then it succeeds, and prints what the page shows; one that only looks may look until that has come true
            is_right = partial(prints, expected)
            status, printed = look() if CHANGING.search(command) else eventually(look, is_right, timeout=30)
            assert is_right((status, printed)), f"{own}\n{printed}\n\ninstead of\n\n" + "\n".join(expected)

    # and in the end the trip is rolled back, as the page says
    holiday.settle()
    cancelled = {"Flights": ["cancelled"], "Cars": ["cancelled"]}
    assert {table: holiday.statuses(trip_id)[table] for table in cancelled} == cancelled


@pytest.mark.slow
def test_versions_are_registered_by_hand_as_the_page_says(own_cloud: HolidayCloud) -> None:
    # given a deployment that registered nothing
    outputs = own_cloud.deploy({"registration": "manual"})
    assert own_cloud.admin.deployments() == []

    # when each version is registered with the page's curl
    (curl,) = (command for command, _ in commands(section("Deploy without registration")) if "curl" in command)
    values = outputs | {"InvokerRoleArn": "arn:aws:iam::000000000000:role/any"}
    for service in (*TABLES.values(), "Trips"):
        command = curl.replace("<FlightsVersionArn>", f"<{service}VersionArn>")
        for name, value in values.items():
            command = command.replace(f"<{name}>", value)
        status, printed = run(own_cloud, f"key=key_of_nobody\n{command}")
        assert status == 0 and f'"name":"{service.lower()}"' in printed, printed

    # then Restate invokes them, through the role
    holiday = Holiday(own_cloud, outputs)
    assert holiday.reserve({"trip_id": "by-hand"}).status_code == 200
    assert {known["assume_role_arn"] for known in own_cloud.admin.deployments()} == {values["InvokerRoleArn"]}


def test_the_page_s_log_query_is_the_one_that_make_trip_asks() -> None:
    assert f"```text\n{query_for(pattern_of('oslo'))}\n```" in section("Follow a trip through the logs")


def test_the_page_s_console_lines_hold_no_key_and_no_path_of_a_machine() -> None:
    assert not re.search(r"key_[a-z0-9]|Bearer [^%]|(?:/home|/root|/Users|/work|/tmp)/", PAGE)
