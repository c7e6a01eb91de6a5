"""A proxy in front of the emulator, for the services and for Restate: every fault happens at a named call and no other.

The emulator injects no faults, so they happen here, on the wire, where the services cannot tell them from real ones. A
call has a name (`cars.confirm`), a trip and a count (`attempt`, from 1), and what befalls it is looked up in the plan:
no clock and no chance takes part in the decision, so that a plan which fails once can be run again.
"""

import asyncio
import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs

import psutil

from holiday.services import SERVICES
from localcloud.ports import HOST, at_end
from tests.expectations import COMPENSATIONS
from tests.faults import wire

LARGEST_PAYLOAD = 6_291_456
"""Bytes that Lambda takes as the payload of an invocation. The emulator takes more."""


@dataclass(frozen=True)
class Call:
    """One request of a service to AWS. `booking` is the booking's id, or for a notice its reservation's invocation."""

    name: str
    trip_id: str
    booking: str
    attempt: int


Hook = Callable[[str], Awaitable[None]]
Decision = Callable[[Call], str | None]


def refusing(name: str, fault: str) -> Decision:
    """Every call of this service, or just this one, fails in this way."""
    return lambda call: fault if call.name.startswith(name) else None


class Proxy:
    """Forwards to the emulator at `upstream`; `decide` says which fault, by name, befalls a call, or None.

    `throttled` is a part of a function's name that Lambda refuses to invoke, or empty: a fault that befalls Restate.
    `holds`, if set, says of a handler ("cars/confirm") and what it gets whether Restate is kept waiting with it.
    A payload that is too large for Lambda is refused always; `largest` is the largest that came, refused or not.
    `cancel` is called with a trip id by the faults that cancel it. `fired` counts the faults, `calls` the requests,
    `operations` those to DynamoDB by operation.
    A read that does not ask to be consistent, which DynamoDB may answer with what was there before, finds nothing.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._late: defaultdict[str, list[bytes]] = defaultdict(list)
        self._down: dict[str, float] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.decide: Decision = lambda _: None
        self.throttled = b""
        self.holds: Callable[[str, bytes], bool] | None = None
        self.largest = 0
        self.cancel: Hook | None = None
        self.fired: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.retries = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for writer in (*self._open, *(writer for _, writer in self._idle)):
            writer.close()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        assert self._server
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def release(self) -> None:
        """Let every write that is still held back arrive now."""
        while self._late:
            _, requests = self._late.popitem()
            for request in requests:
                await self._forward(request)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        # Cancelled is what it is when all ends; asyncio would print that as a fault.
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while request := await wire.read(reader):
                answer = await self._answer(request, reader, writer)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    async def _answer(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """The answer that the service gets, or None if its connection breaks."""
        invoked = re.match(rb"POST /2015-03-31/functions/(\S+)/invocations", request)
        if invoked and self.throttled and self.throttled in invoked[1]:
            self.fired["lambda throttled"] += 1
            return wire.refused_by_lambda(429, b"TooManyRequestsException", b"Rate Exceeded.")
        if invoked:
            size = len(request) - request.index(b"\r\n\r\n") - 4
            self.largest = max(self.largest, size)
            if size > LARGEST_PAYLOAD:
                self.fired["lambda payload too large"] += 1
                message = b"Request must be smaller than 6291456 bytes for the InvokeFunction operation"
                return wire.refused_by_lambda(413, b"RequestTooLargeException", message)
            if self.holds:
                event = json.loads(request[-size:])
                handler, payload = event["path"].removeprefix("/invoke/"), base64.b64decode(event["body"] or "")
                while self.holds(handler, payload):
                    await asyncio.sleep(0.02)
        if wire.may_be_stale(request):
            return wire.STALE
        call = self._name(request)
        if call is None:
            return await self._forward(request)
        self.calls[call.name] += 1
        self.retries += call.attempt > 1
        service = "sns" if call.name == "trips.notify" else "dynamodb"
        if self._down.get(service, 0) > asyncio.get_running_loop().time():
            self.fired[f"{service} unreachable"] += 1
            return None
        fault = self.decide(call)
        if fault is None:
            return await self._commit(call, request)
        self.fired[fault] += 1
        match fault.split():
            case ["throttled"]:
                return wire.error(service, 400, wire.THROTTLED, b"Throttled")
            case ["broken"]:
                return wire.error(service, 500, wire.BROKEN, b"InternalError")
            case ["reset"]:
                return None
            case ["answer", "lost"]:
                await self._commit(call, request)
                return None
            case ["late"]:  # the zombie: it arrives after the booking was cancelled, or at the very end
                self._late[call.booking].append(request)
                return None
            case ["slow"]:
                await asyncio.sleep(2)
                return await self._commit(call, request)
            case ["hanging"]:
                await reader.read()  # until the client gives up
                return None
            case ["frozen"]:
                _process_at(writer).suspend()
                return None
            case ["outage", seconds]:
                self._down[service] = asyncio.get_running_loop().time() + float(seconds)
                return None
            case ["crash", "before"]:
                _process_at(writer).kill()
                return None
            case ["crash", "after"]:
                await self._commit(call, request)
                _process_at(writer).kill()
                return None
            case ["cancel", *when]:
                assert self.cancel
                if when == ["after"]:
                    answer = await self._commit(call, request)
                    await self.cancel(call.trip_id)
                    return answer
                cancelled = asyncio.ensure_future(self.cancel(call.trip_id))
                if when == ["before"]:
                    await cancelled
                answer = await self._commit(call, request)
                await cancelled
                if when == ["twice"]:
                    await self.cancel(call.trip_id)
                return answer
            case _:
                raise ValueError(f"{fault!r} is not a fault")

    async def _commit(self, call: Call, request: bytes) -> bytes:
        answer = await self._forward(request)
        if call.name in COMPENSATIONS:
            for late in self._late.pop(call.booking, []):
                await self._forward(late)
        return answer

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(HOST, self._upstream)
        try:
            writer.write(request)
            answer = await wire.read(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            answer = b""
        if not answer:  # the emulator had closed an idle connection
            writer.close()
            return await self._forward(request)
        self._idle.append((reader, writer))
        return answer

    def _name(self, request: bytes) -> Call | None:
        """Which step of which trip a request belongs to; None if it is none of the saga's."""
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
        return Call(name, trip_id, booking, self._attempts[name, booking])


def _dynamodb(operation: str, body: dict[str, Any]) -> tuple[str, str, str] | None:
    """A table that no row is about is one that a test, or the comparison, has added to the holiday."""
    if operation == "TransactWriteItems":  # Step Functions' way to reserve a flight: the gate's row, then the booking's
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


def _process_at(writer: asyncio.StreamWriter) -> psutil.Process:
    """The process at the other end of a connection: a Lambda's worker, or the one that runs all services."""
    return at_end(writer.get_extra_info("peername"), writer.get_extra_info("sockname"))
