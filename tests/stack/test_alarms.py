"""The alarms, and what the metric filters count. tests/deploy/test_metric_filters.py has real log lines."""

import importlib
import json
import re
from typing import Any, get_args

import pytest
from restate.handler import Handler

from holiday.failures import Reason
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS
from holiday.services import SERVICES as ROWS
from tests.filter_patterns import matches
from tests.stack.conftest import CLOUD, ROOT, Synthesized, synthesized

SERVICES = [*ROWS, "trips"]
NEVER_GIVEN_UP = {name: row.compensation for name, row in ROWS.items()} | {"trips": "notify"}
"""The handler of each service that Restate retries forever, from the rows of services.py."""
PAGE, COSTS, METRICS = ((ROOT / "docs" / name).read_text() for name in ("alarms.md", "costs.md", "metrics.md"))
ON_REGISTRATION = {"RegistrationFailed", "DeployerErrors", "DeployerThrottles"}


def alarms(stack: Synthesized) -> dict[str, dict[str, Any]]:
    """The properties of each alarm except the monitor's, by its name in docs/alarms.md."""
    found = stack.of_type("AWS::CloudWatch::Alarm")
    return {row_of(name): each["Properties"] for name, each in found.items() if not name.startswith("Monitor")}


def row_of(logical_id: str) -> str:
    return re.sub("[0-9A-F]{8}$", "", logical_id).removeprefix("Alarms")


def filters(stack: Synthesized) -> dict[str, dict[str, Any]]:
    """The properties of each metric filter, by its metric's name."""
    found = [each["Properties"] for each in stack.of_type("AWS::Logs::MetricFilter").values()]
    return {each["MetricTransformations"][0]["MetricName"]: each for each in found}


def rows() -> list[str]:
    """The alarms in the page's table, where `<Service>` stands for each service."""
    section = PAGE.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    table = section.partition("| alarm |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    return [name for cell in cells for each in re.findall(r"`(.+?)`", cell) for name in alarms_of(each)]


def alarms_of(row: str) -> list[str]:
    """The alarms that a name in the table stands for."""
    kind = row.removeprefix("<Service>")
    if kind == "<Compensation>Failing":
        return [f"{name.capitalize()}{service.compensation.capitalize()}Failing" for name, service in ROWS.items()]
    return [row] if kind == row else [f"{each.capitalize()}{kind}" for each in SERVICES]


def text(value: Any) -> str:
    """A property as text, with references replaced by the logical ids that they refer to."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else part["Ref"] for part in value["Fn::Join"][1])


def test_every_function_is_watched_for_errors_and_throttles_under_its_own_name(cloud: Synthesized) -> None:
    made = [name for name in cloud.of_type("AWS::Lambda::Function") if not name.startswith("Monitor")]
    functions = {str({"Ref": name}) for name in made}

    for metric in ("Errors", "Throttles"):
        watched = [each for each in alarms(cloud).values() if each["MetricName"] == metric]
        assert {str(alarm["Dimensions"][0]["Value"]) for alarm in watched} == functions
    assert len(functions) == len(SERVICES) + 1


def test_alarms_go_to_the_named_topic_and_do_not_fire_without_data(
    cloud: Synthesized, self_hosted: Synthesized
) -> None:
    for alarm in alarms(cloud).values():
        assert alarm["AlarmActions"] == [CLOUD["alarmTopicArn"]]
        assert alarm["TreatMissingData"] == "notBreaching"
    assert alarms(self_hosted) == filters(self_hosted) == {}


def test_the_page_s_table_has_one_row_for_each_alarm(cloud: Synthesized) -> None:
    assert sorted(rows()) == sorted(row_of(name) for name in cloud.of_type("AWS::CloudWatch::Alarm"))


def test_the_costs_page_states_the_number_of_alarms(cloud: Synthesized) -> None:
    assert "four alarms for each service and five more" in COSTS

    assert len(cloud.of_type("AWS::CloudWatch::Alarm")) == 4 * len(SERVICES) + 5


def test_the_pages_have_every_reason_and_so_many_metrics_of_trips_are_paid_for() -> None:
    at_the_gate = {"booked before"}  # counted by no metric: the trip was counted when it was booked
    reasons = set(get_args(Reason)) - at_the_gate
    table = METRICS.partition("| metric |")[2].partition("\n\n")[0]

    assert reasons <= set(re.findall(r"`([a-z ]+)`", table))
    assert f"up to {1 + len(reasons)} | {0.3 * (1 + len(reasons)):.2f} |" in COSTS


def test_an_alarm_s_description_names_the_function_the_meaning_and_where_to_look(cloud: Synthesized) -> None:
    for name, alarm in alarms(cloud).items():
        function = "Deployer" if name in ON_REGISTRATION else f"{re.split('(?<=[a-z])(?=[A-Z])', name)[0]}Service"
        description = text(alarm["AlarmDescription"])

        assert cloud.one("AWS::Lambda::Function", function)[0] in description
        said = re.fullmatch(r".+\. What to do: docs/alarms\.md, row (.+)\.", description)
        assert said and name in alarms_of(said[1]) and f"`{said[1]}`" in PAGE
        assert description[0].isupper() and len(description) < 1024


def test_the_registration_alarm_fires_at_once_and_a_service_s_after_repeated_errors(cloud: Synthesized) -> None:
    for name, alarm in alarms(cloud).items():
        fires = (alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"])

        assert fires == ((60, 1, 1) if name in ON_REGISTRATION else (300, 2, 3))
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
        assert alarm["Statistic"] == "Sum"


def test_each_alarm_watches_the_metric_that_its_filter_writes(cloud: Synthesized) -> None:
    watched = {each["MetricName"]: each for each in alarms(cloud).values()}
    counted = {name: each for name, each in filters(cloud).items() if name in watched}

    assert counted.keys() == watched.keys() - {"Errors", "Throttles"}
    for name, each in counted.items():
        (metric,) = each["MetricTransformations"]
        assert (metric["MetricNamespace"], metric["MetricValue"]) == (watched[name]["Namespace"], "1")
        # writing a metric in every period would cost money in every period
        assert "DefaultValue" not in metric


def test_each_metric_filter_reads_its_function_s_log_group(cloud: Synthesized) -> None:
    for name, each in filters(cloud).items():
        owner = "Deployer" if name in ON_REGISTRATION else f"{re.split('(?<=[a-z])(?=[A-Z])', name)[0]}Service"
        assert each["LogGroupName"] == {"Ref": cloud.one("AWS::Logs::LogGroup", owner)[0]}


def test_two_copies_in_one_account_have_separate_metrics(cloud: Synthesized) -> None:
    anns = synthesized(CLOUD | {"prefix": "ann"})

    for stack, namespace in ((cloud, "HolidayStack"), (anns, "ann-HolidayStack")):
        transformations = [each["MetricTransformations"][0] for each in filters(stack).values()]
        assert {each["MetricNamespace"] for each in transformations} == {namespace}


@pytest.mark.parametrize("service", SERVICES)
def test_the_only_handler_that_is_retried_forever_has_its_own_alarm(service: str) -> None:
    module = importlib.import_module(f"holiday.{service}")
    handlers: dict[str, Handler[Any, Any]] = getattr(module, service).handlers
    own = {name: each.invocation_retry_policy for name, each in handlers.items() if each.invocation_retry_policy}

    assert [name for name, policy in own.items() if policy != GIVE_UP_AFTER_8_ATTEMPTS] == [NEVER_GIVEN_UP[service]]


# As Lambda's runtime writes them in JSON (awslambdaric's lambda_runtime_log_utils.py and bootstrap.py): an error that
# the SDK logs, such as a journal mismatch, and an exception that the handler raised.
LOGGED_BY_THE_SDK = {
    "timestamp": "2026-11-28T10:00:00.000Z",
    "level": "ERROR",
    "message": "Exception in do_progress",
    "logger": "restate.server_context",
}
RAISED = {
    "timestamp": "2026-11-28T10:00:00",
    "level": "ERROR",
    "errorMessage": "The response did not reach CloudFormation",
    "errorType": "UnavailableError",
    "requestId": "0c90003a-8970-474c-b696-fca5336ef4f5",
}
DONE = {"timestamp": "2026-11-28T10:00:00.000Z", "level": "INFO", "message": "Update Trips: SUCCESS", "logger": "root"}
REPORT = {"time": "2026-11-28T10:00:00.000Z", "type": "platform.report", "record": "…"}


@pytest.mark.parametrize("metric", [*(f"{service.capitalize()}Failing" for service in SERVICES), "RegistrationFailed"])
def test_errors_that_lambda_s_runtime_logs_are_counted_too(cloud: Synthesized, metric: str) -> None:
    pattern = filters(cloud)[metric]["FilterPattern"]

    assert [matches(pattern, json.dumps(line)) for line in (LOGGED_BY_THE_SDK, RAISED)] == [True, True]
    assert [matches(pattern, json.dumps(line)) for line in (DONE, REPORT)] == [False, False]
