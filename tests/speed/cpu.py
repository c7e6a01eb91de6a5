"""`python -m tests.speed.cpu`: the CPU of a booked trip's handlers, against a saga of as many calls that does nothing.

What Restate sends to the handlers of one trip is recorded once and then replayed through the SDK's adapter for Lambda,
both sagas in turn. Nothing goes to AWS: bookings and notices are replaced. So the baseline's time is the SDK's own.
"""

import asyncio
import base64
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from restate.aws_lambda import wrap_asgi_as_lambda_handler

from holiday import bookings, cars, flights, logs, notifications, payments, trips
from holiday.services import TripRequest
from localcloud.cloud import LocalCloud
from localcloud.invocations import SENT_AND_NOT_DONE, unfinished
from localcloud.ports import HOST, Ports, answers
from tests.driver import eventually

ROUNDS = 200
SAMPLE = msgspec.to_builtins(TripRequest())
baseline, part = restate.Service("baseline"), restate.VirtualObject("part")


@part.handler()
async def step(ctx: restate.ObjectContext, booking: dict[str, str]) -> None: ...


@baseline.handler()
async def notify(ctx: restate.Context, notice: dict[str, str]) -> None: ...


@baseline.handler()
async def reserve(ctx: restate.Context, _: dict[str, Any]) -> dict[str, str]:
    flight, car, payment = (str(ctx.uuid()) for _ in range(3))
    for key in (flight, car, payment):
        await ctx.object_call(step, key=key, arg=SAMPLE)
    await restate.gather(*(ctx.object_call(step, key=key, arg=SAMPLE) for key in (flight, car)))
    ctx.service_send(notify, arg=SAMPLE)
    return {"status": "success"}


SAGAS = {"trips": [trips.trips, flights.flights, cars.cars, payments.payments], "baseline": [baseline, part]}


async def _nothing(*_: Any) -> bookings.Found:
    return bookings.Found(own=None, another_is_live=False)


async def _record(cloud: LocalCloud, service: str, app: Any) -> list[Any]:
    """Book one trip through Restate. Returns what its handlers were sent, as Lambda's events."""
    events: list[Any] = []

    async def recorder(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or "/invoke/" not in scope["path"]:
            return await app(scope, receive, send)
        chunks = [await receive()]
        while chunks[-1]["more_body"]:
            chunks.append(await receive())
        event = {"path": scope["path"], "httpMethod": "POST", "isBase64Encoded": True}
        event["headers"] = {name.decode(): value.decode() for name, value in scope["headers"]}
        event["body"] = base64.b64encode(b"".join(chunk["body"] for chunk in chunks)).decode()
        events.append(event)
        return await app(scope, lambda: asyncio.sleep(0, chunks.pop(0)) if chunks else receive(), send)

    def book() -> None:
        eventually(lambda: answers(f"{url}/health"), bool)
        cloud.admin.register({"uri": url, "use_http_11": True})
        httpx.post(f"{cloud.ingress_url}/{service}/reserve", json={}, timeout=60, trust_env=False).raise_for_status()
        eventually(
            lambda: cloud.admin.query(unfinished()) or cloud.admin.query(SENT_AND_NOT_DONE), lambda left: not left
        )

    config, stop, url = Config(), asyncio.Event(), f"http://{HOST}:{Ports.free().ingress}"
    config.bind, config.loglevel = [url.removeprefix("http://")], "ERROR"
    server = asyncio.create_task(serve(recorder, config, shutdown_trigger=stop.wait))  # pyright: ignore
    await asyncio.to_thread(book)
    stop.set()
    await server
    return events


def measure() -> dict[str, float]:
    """The CPU ms per trip of the holiday's handlers and of the baseline's, and their ratio. Medians."""
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalCloud(Path(directory), Ports.free()) as cloud,
        patch.multiple(bookings.Bookings, look=_nothing, reserve=_nothing, confirm=_nothing),
        patch.object(notifications, "publish", _nothing),
        Path(os.devnull).open("w") as nowhere,
    ):
        logs.log.handlers[0].setStream(nowhere)  # pyright: ignore
        apps: Any = {name: restate.app(services) for name, services in SAGAS.items()}
        events = {name: asyncio.run(_record(cloud, name, app)) for name, app in apps.items()}
        handlers = {name: wrap_asgi_as_lambda_handler(app) for name, app in apps.items()}
        times: dict[str, list[float]] = {name: [] for name in SAGAS}
        for _ in range(ROUNDS):
            for name, each in times.items():
                begin = time.process_time()
                for event in events[name]:
                    assert handlers[name](event, None)["statusCode"] == 200
                each.append((time.process_time() - begin) * 1000)
    ours, bare = (statistics.median(each) for each in times.values())
    return {"handlers_ms": ours, "baseline_ms": bare, "handlers_ratio": ours / bare}


if __name__ == "__main__":
    print(measure())
