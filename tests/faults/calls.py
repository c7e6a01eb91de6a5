"""Recognizes the saga's requests to AWS: which step of which trip makes each one, and which attempt it is."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from holiday.services import SERVICES


@dataclass(frozen=True)
class AwsCall:
    """One request of a service to AWS, such as the first attempt (1) of `cars.confirm`.

    `booking` is the booking id; for a notice, it is the id of the reservation's invocation.
    """

    name: str
    trip_id: str
    booking: str
    attempt: int


class Calls:
    """Counts the attempts of each call, and in `operations` all requests to DynamoDB by operation."""

    def __init__(self) -> None:
        self._attempts: Counter[tuple[str, str]] = Counter()
        self.operations: Counter[str] = Counter()

    def of(self, request: bytes) -> AwsCall | None:
        """The call that an HTTP request makes, or None if the saga makes no such request."""
        head, _, body = request.partition(b"\r\n\r\n")
        target = re.search(rb"(?i)x-amz-target: DynamoDB_20120810\.(\w+)", head)
        if target:
            self.operations[target[1].decode()] += 1
            named = _dynamodb(target[1].decode(), json.loads(body))
            if named is None:
                return None
        elif b"Action=Publish" in body:
            notice = json.loads(parse_qs(body.decode())["Message"][0])
            named = ("trips.notify", notice["trip_id"], notice["invocation_id"])
        else:
            return None
        name, trip_id, booking = named
        self._attempts[name, booking] += 1
        return AwsCall(name, trip_id, booking, self._attempts[name, booking])


def _dynamodb(operation: str, body: dict[str, Any]) -> tuple[str, str, str] | None:
    """A call's name, trip and booking; None for a table that a test, or the comparison, has added to the holiday."""
    if operation == "TransactWriteItems":  # the state machine reserves a flight so: the gate's row, then the booking's
        operation, body = "PutItem", body["TransactItems"][-1]["Put"]
    service = next((row for name, row in SERVICES.items() if name in body["TableName"].lower()), None)
    if service is None:
        return None
    values = body.get("ExpressionAttributeValues", {})
    if operation == "Query":
        return f"{service.name}.look", values[":trip"]["S"], values[":booking"]["S"]
    key = body["Item"] if operation == "PutItem" else body["Key"]
    if operation == "PutItem":
        step = next(iter(service.steps))
    elif values.get(":status", {}).get("S") == service.compensated:
        step = service.compensation
    else:
        step = list(service.steps)[-1]
    return f"{service.name}.{step}", key["pk"]["S"], key["sk"]["S"]
