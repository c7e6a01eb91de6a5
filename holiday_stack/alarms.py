"""Alarms for the person on call: a function that fails or is throttled, and a failed registration.

To Lambda, a handler that raised succeeded: its answer asks Restate to retry. So Lambda's own metrics count only crashes
and time-outs, and metric filters on the log count the rest. A service's alarm fires when two of three periods had a
failure, because Restate retries and most failures are over by then; a failed registration fires at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

NOTIFY = "notify"
"""The handler of trips that Restate retries forever. trips has no compensation."""


@dataclass(frozen=True)
class Trigger:
    """The alarm fires when `bad` of `of` periods each had at least one occurrence."""

    period: Duration
    bad: int
    of: int


# Restate retries at least once a minute, so what keeps failing is seen in every period.
KEEPS_HAPPENING = Trigger(Duration.minutes(5), bad=2, of=3)
AT_ONCE = Trigger(Duration.minutes(1), bad=1, of=1)


class Alarms(Construct):
    """Alarms that go to a topic. docs/alarms.md has a row for each kind, such as `<Service>Errors`.

    Args:
        services: The function of each service, by the service's name.
        compensations: The compensating handler of each service except trips, by the service's name.
        deployer: The function that registers them with Restate. None: this stack registers nothing.
        topic_arn: The SNS topic that the alarms go to, in the same region.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        services: Mapping[str, lambda_.Function],
        compensations: Mapping[str, str],
        deployer: lambda_.Function | None,
        topic_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        topic = sns.Topic.from_topic_arn(self, "Topic", topic_arn)
        self.action = actions.SnsAction(topic)  # pyright: ignore[reportArgumentType]
        for service, function in services.items():
            self._watch_service(service, function, compensations.get(service))
        if deployer:
            self._watch_registrations(deployer)

    def _watch_service(self, service: str, function: lambda_.Function, compensation: str | None) -> None:
        name, at = service.capitalize(), KEEPS_HAPPENING
        who = f"function {function.function_name} of service {service}"
        self._alarm(
            f"{name}Errors",
            function.metric_errors(period=at.period),
            f"{who} keeps crashing, timing out or failing to start.",
            at,
            row="<Service>Errors",
        )
        self._alarm(
            f"{name}Throttles",
            function.metric_throttles(period=at.period),
            f"{who} keeps being throttled: Lambda's concurrency is used up.",
            at,
            row="<Service>Throttles",
        )
        failed = logs.FilterPattern.string_value("$.message", "=", "failed")
        # What the SDK and Lambda's runtime log, such as an exception's traceback.
        error = logs.FilterPattern.string_value("$.level", "=", "ERROR")
        self._alarm(
            f"{name}Failing",
            self._count(f"{name}Failing", function, logs.FilterPattern.any(failed, error), at),
            f"handlers in {who} keep failing, and Restate retries them.",
            at,
            row="<Service>Failing",
        )
        handler = compensation or NOTIFY
        named = logs.FilterPattern.string_value("$.handler", "=", handler)
        self._alarm(
            f"{name}{handler.capitalize()}Failing",
            self._count(f"{name}{handler.capitalize()}Failing", function, logs.FilterPattern.all(failed, named), at),
            f"{handler} in {who} keeps failing, and Restate retries it forever.",
            at,
            row="<Service><Compensation>Failing" if compensation else "",
        )

    def _watch_registrations(self, deployer: lambda_.Function) -> None:
        at, who = AT_ONCE, f"function {deployer.function_name}, which registers services with Restate,"
        error = logs.FilterPattern.string_value("$.level", "=", "ERROR")
        self._alarm(
            "RegistrationFailed",
            self._count("RegistrationFailed", deployer, error, at),
            f"a registration failed, or a removal left something in Restate: see the log of {deployer.function_name}.",
            at,
        )
        self._alarm(
            "DeployerErrors",
            deployer.metric_errors(period=at.period),
            f"{who} crashed or timed out: CloudFormation got no answer and waits.",
            at,
        )
        self._alarm(
            "DeployerThrottles",
            deployer.metric_throttles(period=at.period),
            f"{who} was throttled: after five minutes its event is dropped, and CloudFormation times out.",
            at,
        )

    def _count(
        self, name: str, function: lambda_.Function, pattern: logs.IFilterPattern, at: Trigger
    ) -> cloudwatch.Metric:
        """Count the matching log lines. Without a default value, no metric is paid for while nothing matches."""
        counted = logs.MetricFilter(
            self,
            f"{name}Lines",
            log_group=function.log_group,
            filter_pattern=pattern,
            metric_namespace=function.stack.stack_name,  # so that two stacks in one account do not share it
            metric_name=name,
        )
        return counted.metric(period=at.period, statistic="Sum")

    def _alarm(self, construct_id: str, metric: cloudwatch.Metric, what: str, at: Trigger, row: str = "") -> None:
        where = f"What to do: docs/alarms.md, row {row or construct_id}."
        alarm = metric.create_alarm(
            self,
            construct_id,
            alarm_description=f"{what[0].upper()}{what[1:]} {where}",
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=at.bad,
            evaluation_periods=at.of,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self.action)  # pyright: ignore[reportArgumentType]
