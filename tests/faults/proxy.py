"""A proxy between the services (or Restate) and the emulator, which injects faults into named calls.

The emulator injects no faults. Here they happen on the wire, where the services cannot tell them from real ones. The
plan decides by the call's name (`cars.confirm`), trip and attempt alone, never by time or at random, so a plan that
failed can be run again.
"""

import asyncio
import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import psutil

from localcloud.ports import HOST, at_end
from tests.expectations import COMPENSATIONS
from tests.faults import wire
from tests.faults.calls import AwsCall, Calls

LARGEST_PAYLOAD = 6_291_456
"""The largest payload in bytes that Lambda accepts. The emulator accepts more."""


Hook = Callable[[str], Awaitable[None]]
Decision = Callable[[AwsCall], str | None]


def refusing(name: str, fault: str) -> Decision:
    """Inject this fault into every call of a service ('cars') or into one call ('cars.confirm')."""
    return lambda call: fault if call.name.startswith(name) else None


class Proxy:
    """Forwards requests to the emulator's port `upstream`.

    decide: returns the name of the fault to inject into a call, or None.
    throttled: part of a function's name; Lambda throttles Restate's invocations of it. Empty: none.
    holds: returns whether to delay an invocation, given its handler ("cars/confirm") and its payload.
    largest: the size of the largest payload so far. One that is too large for Lambda is always rejected.
    cancel: called with the trip id by the faults that cancel a trip.
    fired, calls, operations: how many faults were injected, requests made, and DynamoDB requests made, by name.

    A read that is not strongly consistent finds nothing: DynamoDB may answer it with old data.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._calls = Calls()
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
        self.operations = self._calls.operations
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
        """Forward every write that is still held back."""
        while self._late:
            _, requests = self._late.popitem()
            for request in requests:
                await self._forward(request)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        # It is cancelled when the loop ends, which asyncio would print as an error.
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
        """The response for the service, or None to break its connection."""
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
        call = self._calls.of(request)
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
            case ["late"]:  # it arrives after the booking was cancelled, or at the very end
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
                raise ValueError(f"{fault!r} is not a known fault")

    async def _commit(self, call: AwsCall, request: bytes) -> bytes:
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


def _process_at(writer: asyncio.StreamWriter) -> psutil.Process:
    """The process at the other end of a connection: a Lambda worker, or the process of all services."""
    return at_end(writer.get_extra_info("peername"), writer.get_extra_info("sockname"))
