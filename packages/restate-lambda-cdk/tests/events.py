"""CloudFormation's events, as the handler's tests send them, and the clock that it waits by."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from fake_admin import FakeAdmin
from registration import cloudformation
from registration.deadline import Deadline

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:trips"
V1, V2, V3 = (f"{FUNCTION}:{number}" for number in (1, 2, 3))
ROLE = "arn:aws:iam::111122223333:role/invoker"


class Clock:
    """Advances only during `sleep`. Each of `events` is called once, at its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.events: dict[float, Callable[[], None]] = {}

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        for due in sorted(time for time in self.events if time <= self.now):
            self.events.pop(due)()


Event = dict[str, Any]
REQUESTS = itertools.count(1)


def event(kind: str, restate: FakeAdmin, arn: str, *, old: Event | None = None, **properties: Any) -> Event:
    """An event as CloudFormation sends it. `old` is the event with the previous properties."""
    wanted: dict[str, Any] = {
        "AdminUrl": restate.url,
        "ServiceNames": ["trips"],
        "FunctionVersionArn": arn,
        "DrainSeconds": "30",
    }
    identity = {
        "StackId": "arn:stack",
        "RequestId": f"request-{next(REQUESTS)}",
        "LogicalResourceId": "TripsRegistration",
    }
    before = {"OldResourceProperties": old["ResourceProperties"]} if old else {}
    physical = {} if kind == "Create" else {"PhysicalResourceId": "restate-TripsRegistration"}
    return {"RequestType": kind, "ResourceProperties": wanted | properties} | identity | before | physical


def renamed(kind: str, restate: FakeAdmin, arn: str, old: Event | None = None) -> Event:
    """An event of a renamed registration: to CloudFormation, it is another resource."""
    return event(kind, restate, arn, old=old) | {"LogicalResourceId": "RenamedRegistration"}


def deleted(create: Event, failure: str | None, monkeypatch: pytest.MonkeyPatch, deadline: Deadline) -> Event:
    """The Delete that CloudFormation sends after a Create, with the physical id from the response to that."""
    responses: list[bytes] = []

    def send(_url: str, content: bytes) -> None:
        responses.append(content)

    monkeypatch.setattr(cloudformation, "send", send)
    cloudformation.answer(create | {"ResponseURL": ""}, failure, deadline)
    physical_id = json.loads(responses[0])["PhysicalResourceId"]
    return create | {"RequestType": "Delete", "PhysicalResourceId": physical_id, "RequestId": "of the Delete"}
