"""Drives a running holiday service in a local cloud (acceptance/driver.py), and reads what its functions logged."""

from acceptance.driver import TIMEOUT, Driver, eventually
from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud

__all__ = ["TIMEOUT", "Holiday", "eventually", "lambda_invocations", "log_lines"]


class Holiday(Driver[HolidayCloud]):
    """A holiday service in a local cloud."""


def log_lines(cloud: LocalCloud) -> list[str]:
    """Every line that the four functions and the platform logged."""
    logs = cloud.client("logs")
    groups = [group.get("logGroupName", "") for group in logs.describe_log_groups()["logGroups"]]
    pages = [
        page
        for group in groups
        if "Service" in group
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    ]
    return [line for page in pages for event in page["events"] for line in event.get("message", "").splitlines()]


def lambda_invocations(cloud: LocalCloud) -> int:
    """How often the four functions have been invoked."""
    return sum(line.startswith("START RequestId") for line in log_lines(cloud))
