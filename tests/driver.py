"""Drives a running holiday service in a local cloud (acceptance/driver.py), and reads what its functions logged."""

from acceptance.driver import TIMEOUT, Driver, eventually
from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud

__all__ = ["TIMEOUT", "Holiday", "eventually", "lambda_invocations", "log_lines"]


class Holiday(Driver[HolidayCloud]):
    """A holiday service in a local cloud."""


def logged(cloud: LocalCloud, of: str = "") -> dict[str, list[str]]:
    """All logged lines, including the platform's, by log group. Only groups whose name contains `of`."""
    logs = cloud.client("logs")
    found: dict[str, list[str]] = {}
    for group in logs.describe_log_groups()["logGroups"]:
        if of not in (name := group.get("logGroupName", "")):
            continue
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
        messages = [event.get("message", "") for page in pages for event in page["events"]]
        found[name] = [line for message in messages for line in message.splitlines()]
    return found


def log_lines(cloud: LocalCloud) -> list[str]:
    """All lines that the four functions logged."""
    return [line for lines in logged(cloud, "Service").values() for line in lines]


def lambda_invocations(cloud: LocalCloud) -> int:
    """The number of invocations of the four functions."""
    return sum(line.startswith("START RequestId") for line in log_lines(cloud))
