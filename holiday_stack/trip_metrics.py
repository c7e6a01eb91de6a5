"""Business metrics: how many trips were booked, rolled back and refused, and why.

They count the last log line of each run of `trips.reserve`, so no handler does anything for them. A trip that was
booked before with the same idempotency key is counted once: the line of its later run has a reason.
"""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

REFUSALS = ("invalid", "duplicate", "rolled back")
"""The reasons for which nothing was booked. A trip that failed for any other reason was rolled back."""


class TripMetrics(Construct):
    """TripsBooked, TripsRolledBack and TripsRefused, in a namespace with the stack's name.

    The latter two have the dimension Reason, each value of which is a separate metric.

    Args:
        trips: The function of trips.
    """

    def __init__(self, scope: Construct, construct_id: str, *, trips: lambda_.Function) -> None:
        super().__init__(scope, construct_id)
        self._trips = trips
        done = logs.FilterPattern.string_value("$.message", "=", "done")
        refused = logs.FilterPattern.string_value("$.message", "=", "refused")
        self._count("TripsBooked", [done, logs.FilterPattern.not_exists("$.reason")])
        others = [logs.FilterPattern.string_value("$.reason", "!=", reason) for reason in REFUSALS]
        self._count("TripsRolledBack", [refused, *others], by_reason=True)
        named = [logs.FilterPattern.string_value("$.reason", "=", reason) for reason in REFUSALS]
        self._count("TripsRefused", [refused, logs.FilterPattern.any(*named)], by_reason=True)

    def _count(self, name: str, conditions: Sequence[logs.JsonPattern], *, by_reason: bool = False) -> None:
        logs.MetricFilter(
            self,
            name,
            log_group=self._trips.log_group,
            filter_pattern=logs.FilterPattern.all(
                logs.FilterPattern.string_value("$.service", "=", "trips"),
                logs.FilterPattern.string_value("$.handler", "=", "reserve"),
                *conditions,
            ),
            metric_namespace=self._trips.stack.stack_name,
            metric_name=name,
            unit=cloudwatch.Unit.COUNT,
            dimensions={"Reason": "$.reason"} if by_reason else None,
        )
