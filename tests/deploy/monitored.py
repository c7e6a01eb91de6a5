"""Deploys an InvocationMonitor and its alarms into a cloud, in their own stack.

The emulator evaluates an alarm only when metrics are published, over all of its periods at once, and ignores missing
data. So the periods are short here, and the tests invoke the function themselves.
(`python -m tests.deploy.monitored`)
"""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from aws_cdk import App, CfnOutput, CfnResource, Duration, Stack
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_sns as sns
from aws_cdk.aws_secretsmanager import Secret

from demo.cloud import HolidayCloud
from localcloud.inbox import Inbox
from restate_lambda_cdk import InvocationMonitor, RestateServer

STACK = "Watched"
APP = f"{shlex.quote(sys.executable)} -m tests.deploy.monitored"
THRESHOLD, PERIOD = 3, 10  # seconds; the only short periods that CloudWatch accepts are 10 and 30
DURATIONS = ["trips/reserve", "payments/refund"]
Alarm = Literal["Stuck", "NotRunning"]


class Watch:
    """A monitor in a cloud. `context` is for the app below."""

    def __init__(self, cloud: HolidayCloud, **context: str) -> None:
        self.cloud = cloud
        self.names = cloud.deploy(context, APP, STACK)
        self._inbox = Inbox(cloud.client, self.names["Topic"], "called")

    def check(self, event: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Invoke the monitor's function, with this event of its schedule, if any. Returns its error, if it failed."""
        payload = json.dumps(event or {})
        answer = self.cloud.client("lambda").invoke(FunctionName=self.names["Function"], Payload=payload)
        return json.loads(answer["Payload"].read()) if "FunctionError" in answer else None

    def stop_schedule(self) -> None:
        cloud: Any = self.cloud  # its type covers only the AWS services that the holiday uses
        cloud.client("events").disable_rule(Name=self.names["Schedule"])

    def state(self, alarm: Alarm) -> str:
        (found,) = self.cloud.client("cloudwatch").describe_alarms(AlarmNames=[self.names[alarm]])["MetricAlarms"]
        return found.get("StateValue", "")

    def becomes(self, state: str) -> bool:
        """Invoke the function until the alarm for stuck invocations is in this state. Returns whether it is."""

        from tests.driver import eventually  # not at the top: the app below runs without the Lambda code on its path

        def check() -> str:
            assert self.check() is None
            time.sleep(0.5)
            return self.state("Stuck")

        return eventually(check, lambda found: found == state) == state

    def calls(self) -> list[dict[str, str]]:
        """The alarms' notifications since the last call."""
        return self._inbox.read()

    def durations(self, handler: str) -> list[tuple[datetime, float, float, float]]:
        """The published durations of a handler, by minute: count, shortest and longest."""
        dimensions: Any = [{"Name": "Monitor", "Value": f"{STACK}/Monitor"}, {"Name": "Handler", "Value": handler}]
        now = datetime.now(UTC)
        found = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="Restate",
            MetricName="InvocationDuration",
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["SampleCount", "Minimum", "Maximum"],
            Unit="Milliseconds",
        )
        return sorted(
            (point["Timestamp"], point["SampleCount"], point["Minimum"], point["Maximum"])
            for point in cast(list[dict[str, Any]], found["Datapoints"])
        )

    def published(self, metric: str, service: str) -> list[float]:
        """The highest value that the monitor has published for a service, or an empty list."""
        dimensions: Any = [{"Name": "Monitor", "Value": f"{STACK}/Monitor"}, {"Name": "Service", "Value": service}]
        now = datetime.now(UTC)
        found = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="Restate",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["Maximum"],
        )
        return [point.get("Maximum", 0) for point in found["Datapoints"]]


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    stack = Stack(app, STACK)
    key = Secret.from_secret_complete_arn(stack, "Key", context["secret"]) if "secret" in context else None
    restate = RestateServer(stack, "Restate", admin_url=context["adminUrl"], auth_token=key)
    monitor = InvocationMonitor(
        stack, "Monitor", environment=restate, threshold=Duration.seconds(THRESHOLD), durations=DURATIONS
    )
    topic = sns.Topic(stack, "OnCall")
    for alarm in monitor.add_alarms(actions.SnsAction(topic)):  # pyright: ignore[reportArgumentType]
        cast(CfnResource, alarm.node.default_child).add_property_override("Period", PERIOD)
        CfnOutput(stack, alarm.node.id, value=alarm.alarm_name)
    if (
        "anyNamespace" in context
    ):  # the emulator's IAM does not support the condition key cloudwatch:namespace, and denies everything
        policy = cast(CfnResource, monitor.node.find_child("Publish").node.default_child)
        policy.add_property_deletion_override("PolicyDocument.Statement.0.Condition")
    CfnOutput(stack, "Function", value=monitor.function.function_name)
    schedule = cast(events.Rule, monitor.node.find_child("Schedule"))
    CfnOutput(stack, "Schedule", value=schedule.rule_name)
    CfnOutput(stack, "Topic", value=topic.topic_arn)
    app.synth()


if __name__ == "__main__":
    main()
