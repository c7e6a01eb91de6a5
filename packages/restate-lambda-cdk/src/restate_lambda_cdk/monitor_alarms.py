"""The two alarms of an InvocationMonitor: something is stuck, and the monitor is not running."""

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from .monitor import InvocationMonitor

CHECKS_UNTIL_ALARM = {"Stuck": 2, "NotRunning": 3}
"""How many checks in a row must be bad: two, so that no alarm fires for what a retry fixes; three for a failing
monitor, because Restate may only be restarting."""

LONGEST_LIST = 300
"""How long a list of services may be: CloudWatch accepts 1,024 characters of text in all."""


def stuck(monitor: "InvocationMonitor", runbook: str) -> cloudwatch.Alarm:
    """Create the alarm that fires when checks find something stuck."""
    number = f"{monitor.threshold.to_seconds() / 60:g}"
    minutes = f"{number} minute{'' if number == '1' else 's'}"
    of = ", ".join(monitor.services) or "any service"
    if len(of) > LONGEST_LIST:
        of = f"one of {len(monitor.services)} services"
    return monitor.metric_stuck().create_alarm(
        monitor,
        "Stuck",
        alarm_description=f"Invocations of {of} in Restate {_place(monitor)} have been failing, paused or unable to "
        f"start for over {minutes}. They are not lost, but their callers wait. The log of "
        f"{monitor.function.function_name} counts them by service; Restate's UI and CLI list them with their last "
        f"failure. {runbook}".strip(),
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=CHECKS_UNTIL_ALARM["Stuck"],
        treat_missing_data=cloudwatch.TreatMissingData.IGNORE,  # no data is what the other alarm is for
    )


def not_running(monitor: "InvocationMonitor") -> cloudwatch.Alarm:
    """Create the alarm that fires when checks fail or do not run."""
    return monitor.function.metric_errors(period=monitor.interval).create_alarm(
        monitor,
        "NotRunning",
        alarm_description=f"The monitor of stuck invocations in Restate {_place(monitor)}, "
        f"{monitor.function.function_name}, is failing or not running. Its log says why: Restate or CloudWatch cannot "
        "be reached, or the API key was rejected. If the log is empty, its schedule is disabled or Lambda is "
        "throttling it.",
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=CHECKS_UNTIL_ALARM["NotRunning"],
        treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
    )


def _place(monitor: "InvocationMonitor") -> str:
    return f"{monitor.environment.node.path} ({monitor.environment.admin_url})"
