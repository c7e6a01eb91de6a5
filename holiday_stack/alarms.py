"""What a person on call is told: a function that keeps failing or being throttled, and a registration that failed.

A function's alarm is one of its own, so that it names the function. One bad period wakes nobody: Restate tries again.
"""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

PERIOD = Duration.minutes(5)


class Alarms(Construct):
    """Alarms that go to a topic.

    functions: watched for errors (crashes and time-outs; a step that fails is none) and for throttles.
    registrar: watched likewise, and its log for registrations that failed or had to leave something in Restate. None:
        nothing is registered from here.
    topic_arn: where they go, in the same region.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Sequence[lambda_.Function],
        registrar: lambda_.Function | None,
        topic_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        topic = sns.Topic.from_topic_arn(self, "Topic", topic_arn)
        self._action = actions.SnsAction(topic)  # pyright: ignore[reportArgumentType]
        for function in (*functions, *([registrar] if registrar else [])):
            name = function.node.path.split("/")[1]
            errors, throttles = function.metric_errors(period=PERIOD), function.metric_throttles(period=PERIOD)
            self._alarm(f"{name}Errors", errors, f"{name} keeps failing: see its log", bad_periods=2)
            self._alarm(
                f"{name}Throttles", throttles, f"{name} lacks concurrency: see the account's quota", bad_periods=2
            )
        if registrar:
            self._watch_registrations(registrar)

    def _watch_registrations(self, registrar: lambda_.Function) -> None:
        failures = logs.MetricFilter(
            self,
            "RegistrationFailures",
            log_group=registrar.log_group,
            filter_pattern=logs.FilterPattern.string_value("$.level", "=", "ERROR"),
            metric_namespace="Restate",
            metric_name=f"RegistrationFailures-{registrar.stack.stack_name}",
            default_value=0,
        )
        metric = failures.metric(period=PERIOD, statistic="Sum")
        self._alarm(
            "Registration", metric, "A registration with Restate failed: see the registrar's log", bad_periods=1
        )

    def _alarm(self, construct_id: str, metric: cloudwatch.Metric, description: str, bad_periods: int) -> None:
        alarm = metric.create_alarm(
            self,
            construct_id,
            alarm_description=description,
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=bad_periods,
            evaluation_periods=2 * bad_periods - 1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(self._action)  # pyright: ignore[reportArgumentType]
