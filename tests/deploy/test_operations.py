"""The commands of docs/stuck.md and docs/deploy.md are run and print what the pages show."""

import re
import uuid
from functools import partial

import pytest

from demo.cloud import HolidayCloud
from demo.trip import query_for
from localcloud.invocations import unfinished
from localcloud.logs import pattern_of
from tests.conftest import in_both_modes
from tests.deploy.blocked_trips import without_table
from tests.deploy.pages import commands, comparable, here, prints, run, section
from tests.driver import Holiday, eventually
from tests.expectations import TABLES

CHANGING = re.compile(r"\b(pause|resume|cancel) ")


def stuck(holiday: Holiday) -> tuple[str, str]:
    """Begin a trip and wait until its payment keeps failing. Returns its id and its invocation's."""
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
    (setting, _), *shown = commands(section("stuck.md", "Find, pause, resume or cancel a trip"))
    assert len(shown) == 8 and all(lines for _, lines in shown)

    with without_table(cloud, holiday.names["PaymentsTableName"]):
        # given a trip that is stuck like the page's
        trip_id, _ = stuck(holiday)
        for command, lines in shown:
            # when a command of the page is run
            own = here(cloud, command).replace("narvik", trip_id)
            expected = comparable("\n".join(lines).replace("narvik", trip_id))
            look = partial(run, cloud, f"{setting}\n{own}")

            # then it succeeds and prints what the page shows. A command that only reads is repeated until it does
            is_right = partial(prints, expected)
            status, printed = look() if CHANGING.search(command) else eventually(look, is_right, timeout=30)
            assert is_right((status, printed)), f"{own}\n{printed}\n\ninstead of\n\n" + "\n".join(expected)

    # and finally the trip is rolled back, as the page says
    holiday.settle()
    cancelled = {"Flights": ["cancelled"], "Cars": ["cancelled"]}
    assert {table: holiday.statuses(trip_id)[table] for table in cancelled} == cancelled


@pytest.mark.slow
def test_versions_are_registered_by_hand_as_the_page_says(own_cloud: HolidayCloud) -> None:
    # given a deployment that registered nothing
    outputs = own_cloud.deploy({"registration": "manual"})
    assert own_cloud.admin.deployments() == []

    # when each version is registered with the page's curl
    (curl,) = (command for command, _ in commands(section("deploy.md", "Register by hand")) if "curl" in command)
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
    assert f"```text\n{query_for(pattern_of('oslo'))}\n```" in section("logs.md", "Follow a trip through the logs")
