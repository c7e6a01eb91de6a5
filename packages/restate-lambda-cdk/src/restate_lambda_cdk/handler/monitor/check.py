"""The monitor's handler: checks once for stuck invocations and publishes the result as metrics.

If nothing is stuck, it publishes zero. If it cannot check or publish, it raises one sentence: the function's Errors
count it, and the alarm on them says that the monitor is not running.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from monitor import durations
from monitor.stuck import Stuck, stuck
from registration.admin import REQUEST_SECONDS, Admin, UnavailableError
from registration.admin_url import check_url
from registration.api_key import Secret, read_api_key
from registration.deadline import Deadline, retry

log = logging.getLogger()
log.setLevel(logging.INFO)

NAMESPACE = "Restate"
KEPT_BACK_SECONDS = REQUEST_SECONDS + 10  # of the function's time-out: a last request may hang, and metrics go out
MOST_SERVICES = 20
"""Services that have metrics of their own in one check, those with the most stuck invocations: metrics cost money."""


class Context(Protocol):
    """The part of Lambda's context that is used here."""

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True)
class Settings:
    """The function's variables, as `InvocationMonitor` writes them."""

    monitor: str
    admin_url: str
    threshold_seconds: int
    services: tuple[str, ...] = ()
    secret: Secret | None = None
    insecure: bool = False
    durations: tuple[str, ...] = ()
    interval: timedelta = timedelta()

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "Settings":
        secret = variables.get("AUTH_TOKEN_SECRET_ARN")
        return cls(
            variables["MONITOR"],
            variables["ADMIN_URL"].rstrip("/"),
            int(variables["THRESHOLD_SECONDS"]),
            tuple(filter(None, variables.get("SERVICES", "").split(","))),
            Secret(secret, variables.get("AUTH_TOKEN_SECRET_IS_PARTIAL") == "true") if secret else None,
            variables.get("INSECURE") == "true",
            tuple(filter(None, variables.get("DURATIONS", "").split(","))),
            timedelta(seconds=int(variables.get("INTERVAL_SECONDS", "0"))),
        )


def handler(event: object, context: Context) -> None:
    """Lambda's entry point. Raises AdminError, and what boto3 raises."""
    settings = Settings.of(os.environ)
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - KEPT_BACK_SECONDS)
    admin = connect(settings, deadline)
    found = check(admin, settings, deadline)
    if found:
        log.warning("%s", said(found))
    data = metrics(settings.monitor, found)
    try:
        data += took(admin, settings, event, deadline)
    finally:  # whatever becomes of the durations, what is stuck is published
        publish(data)


def connect(settings: Settings, deadline: Deadline) -> Admin:
    """The admin API with the current key. Raises AdminError."""
    check_url(settings.admin_url, has_key=settings.secret is not None, insecure=settings.insecure)
    key = read_api_key(settings.secret, deadline) if settings.secret else None
    return Admin(settings.admin_url, key)


def check(admin: Admin, settings: Settings, deadline: Deadline) -> list[Stuck]:
    """Query what is stuck. Raises AdminError."""
    return retry(deadline, lambda: stuck(admin, settings.threshold_seconds, settings.services))


def took(admin: Admin, settings: Settings, event: object, deadline: Deadline) -> list[dict[str, Any]]:
    """Query how long invocations took. Returns the arguments of PutMetricData. Raises AdminError."""
    window = durations.Window.of(event, settings.interval) if settings.durations else None
    if window is None:
        return []
    if not deadline.left():
        raise UnavailableError("No time was left to query durations: increase the monitor's timeout.")
    return retry(deadline, lambda: durations.metrics(admin, settings.monitor, settings.durations, window))


def metrics(monitor: str, found: Sequence[Stuck]) -> list[dict[str, Any]]:
    """The arguments of PutMetricData: the total, and one entry for each service with stuck invocations."""
    everything = Stuck("", sum(each.count for each in found), max((each.oldest_seconds for each in found), default=0))
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items() if value],
            "Value": value,
            "Unit": unit,
        }
        for each in (everything, *found[:MOST_SERVICES])
        for dimensions in ({"Monitor": monitor, "Service": each.service},)
        for name, value, unit in (
            ("StuckInvocations", each.count, "Count"),
            ("OldestStuckInvocationAge", each.oldest_seconds, "Seconds"),
        )
    ]


def said(found: Sequence[Stuck]) -> str:
    """The log line of a check that found something."""
    services = ", ".join(f"{each.service} {each.count} (oldest {each.oldest_seconds:.0f} s)" for each in found)
    return f"stuck invocations: {services}"


def publish(data: Sequence[dict[str, Any]]) -> None:
    import boto3  # slow: after the check, whose time-out it would eat into
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    cloudwatch: Any = boto3.client("cloudwatch", config=config)  # pyright: ignore[reportUnknownMemberType]
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=list(data))
