"""`PYTHONPATH=lambdas python -m tests.speed.cpu`: CPU ms of a booked trip's handlers, and of a saga that does nothing.

Both are booked once through restate-server, over HTTP/1.1, which suspends as Lambda does; what it sends is recorded.
The recorded requests are then replayed in turns through the SDK's adapter for Lambda, with an AWS that answers at once:
so what counts is the SDK, the saga and its guards, and neither a server nor boto3. Prints JSON.

With a port, it serves both there instead, for tests/speed/local.py.
"""

import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import httpx
import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from restate import Context, ObjectContext
from restate.aws_lambda import wrap_asgi_as_lambda_handler

from holiday import aws, cars, flights, logs, payments, trips
from holiday.messages import Booking
from holiday.services import SERVICES, TripRequest
from localcloud.cloud import LocalCloud
from localcloud.ports import HOST, Ports

ROUNDS, TRIPS = 15, 20
SAMPLE = TripRequest()
baseline, part = restate.Service("baseline"), restate.VirtualObject("part")


@part.handler()
async def step(_ctx: ObjectContext, _booking: dict[str, str]) -> None: ...


@part.handler()
async def confirm(_ctx: ObjectContext, _booking: Booking) -> None: ...


@baseline.handler()
async def notify(_ctx: Context, _notice: dict[str, str]) -> None: ...


@baseline.handler()
async def reserve(ctx: Context, _request: dict[str, Any]) -> dict[str, str]:
    """The calls of trips.reserve, and their messages, without anything else."""
    trip_id = str(ctx.uuid())
    bookings = [SAMPLE.booking(kind, ctx.uuid()) for kind in (flights.Flight, cars.Car, payments.Payment)]
    for booking in bookings:
        await ctx.object_call(step, trip_id, booking.attributes)
    await restate.gather(*[ctx.object_call(confirm, key, bookings[0].booking) for key in (trip_id, "other")])
    ctx.service_send(notify, {"trip_id": trip_id} | bookings[0].attributes)
    return {"status": "success", "trip_id": trip_id}


class InstantAws:
    """An AWS client that answers at once and has no bookings."""

    def get_paginator(self, _operation: str) -> "InstantAws":
        return self

    def paginate(self, **_: Any) -> list[dict[str, list[Any]]]:
        return [{"Items": []}]

    def put_item(self, **_: Any) -> None: ...

    update_item = publish = put_item


APP = restate.app([trips.trips, flights.flights, cars.cars, payments.payments, baseline, part])


async def record() -> dict[str, list[dict[str, Any]]]:
    """What Restate sends the handlers for one trip of each, as Lambda gets it: {"trips": […], "baseline": […]}."""
    found: dict[str, list[dict[str, Any]]] = {"trips": [], "baseline": []}

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        if "/invoke/" not in scope.get("path", ""):
            await APP(scope, receive, send)
            return
        body, event = b"", await receive()
        while event["more_body"]:
            body, event = body + event["body"], await receive()
        body += event["body"]
        whose = "baseline" if scope["path"].split("/")[-2] in ("baseline", "part") else "trips"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        request = {"path": scope["path"], "httpMethod": "POST", "headers": headers, "isBase64Encoded": True}
        found[whose].append(request | {"body": base64.b64encode(body).decode()})
        again = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Any:
            return again.pop() if again else await receive()

        await APP(scope, replayed, send)

    stop, port = asyncio.Event(), Ports.free().ingress
    server = asyncio.create_task(serve_at(port, recording, stop))
    with tempfile.TemporaryDirectory() as directory:
        cloud = LocalCloud(Path(directory), Ports.free())
        await asyncio.to_thread(cloud.start)
        try:
            await asyncio.to_thread(cloud.admin.register, {"uri": f"http://{HOST}:{port}", "use_http_11": True})
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                for service, handlers in found.items():
                    (await http.post(f"{cloud.ingress_url}/{service}/reserve", json={})).raise_for_status()
                    while not handlers[-1]["path"].endswith("/notify"):
                        await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(cloud.stop)
            stop.set()
            await server
    return found


async def serve_at(port: int, app: Any = APP, stop: asyncio.Event | None = None) -> None:
    config = Config()
    config.bind, config.loglevel = [f"{HOST}:{port}"], "ERROR"
    await serve(app, config, shutdown_trigger=stop.wait if stop else None)  # pyright: ignore[reportArgumentType]


def measure() -> dict[str, float]:
    """{"trips_ms", "baseline_ms", "ratio"}: CPU per booked trip. Measured in a process of its own."""
    return json.loads(subprocess.check_output([sys.executable, "-m", "tests.speed.cpu"], text=True))


def main() -> None:
    os.environ |= dict.fromkeys((*(row.table_variable for row in SERVICES.values()), "SNS_TOPIC"), "none")
    cast(Any, logs.log.handlers[0]).setStream(Path(os.devnull).open("w"))  # noqa: SIM115
    aws.dynamodb = aws.sns = cast(Any, InstantAws)
    if sys.argv[1:]:
        os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "holiday"  # no threads, which are for calls to AWS
        asyncio.run(serve_at(int(sys.argv[1])))
        return
    requests = asyncio.run(record())
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "holiday"
    handler = wrap_asgi_as_lambda_handler(APP)
    times: dict[str, list[float]] = {whose: [] for whose in requests}
    for _ in range(ROUNDS + 1):
        for whose, recorded in requests.items():
            begin = time.process_time()
            for request in recorded * TRIPS:
                handler(cast(Any, request), None)
            times[whose].append((time.process_time() - begin) / TRIPS * 1000)
    ratio = statistics.median(a / b for a, b in list(zip(*times.values(), strict=True))[1:])
    medians = {f"{whose}_ms": statistics.median(each[1:]) for whose, each in times.items()}
    print(json.dumps({**medians, "ratio": ratio}))


if __name__ == "__main__":
    main()
