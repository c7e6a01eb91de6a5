"""Request bodies of every size: the ingress rejects one that is too large. Without a limit there, it can be killed.

The proxy refuses what Lambda would (`LARGEST_PAYLOAD`): a payload is the request in base64, and some hundred bytes.
"""

import asyncio
import json
import random
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from holiday.services import SERVICES
from localcloud.environment import local_client
from tests.deploy.monitored import Watch
from tests.deploy.pages import commands, comparable, prints, run, section
from tests.driver import TIMEOUT, eventually
from tests.faults.harness import Harness
from tests.faults.proxy import LARGEST_PAYLOAD

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

DOOR = 1_000_000
"""Bytes that the ingress of the local cloud takes: its setting is 1MB."""
REFUSALS = "lambda payload too large"
HEAD, TAIL = b'{"request": {"depart_city": "', b'"}}'
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def body(size: int) -> bytes:
    """A request of so many bytes, which the handler answers 400 for its city, and which hardly compresses."""
    return HEAD + bytes(random.Random(size).choices(LETTERS, k=size - len(HEAD + TAIL))) + TAIL


async def post(harness: Harness, path: str, content: bytes, parts: bool = False) -> tuple[int, bytes]:
    """The answer's status and body. Like curl, it asks before it sends the body; in `parts`, without its length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.cloud.ports.ingress)
    length = "transfer-encoding: chunked" if parts else f"content-length: {len(content)}"
    headers = ["host: localhost", "content-type: application/json", length, "expect: 100-continue", "connection: close"]
    writer.write("\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode())
    async with asyncio.timeout(TIMEOUT):
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer.startswith(b"HTTP/1.1 100"):
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if parts else content)
            answer = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.read()
    writer.close()
    return int(answer.split()[1]), rest


async def refused_twice(harness: Harness) -> None:
    """Wait until Lambda has refused two more payloads."""
    before = harness.proxy.fired[REFUSALS]
    async with asyncio.timeout(TIMEOUT):
        while harness.proxy.fired[REFUSALS] < before + 2:
            await asyncio.sleep(0.05)


@pytest.fixture
def no_door(on_lambda: Harness) -> Iterator[Harness]:
    with without_limit(on_lambda):
        yield on_lambda


@pytest.fixture
def no_door_either_way(on_lambda_either_way: Harness) -> Iterator[Harness]:
    with without_limit(on_lambda_either_way):
        yield on_lambda_either_way


@contextmanager
def without_limit(on_lambda: Harness) -> Generator[None]:
    """A server that was told no limit, whose ingress takes 32 MiB."""
    cloud, settings = on_lambda.cloud, on_lambda.cloud.restate_settings
    cloud.restate_settings = settings | {"RESTATE_INGRESS__REQUEST_SIZE_LIMIT": "32MiB"}
    cloud.restart_restate()
    on_lambda.proxy.fired.clear()
    yield
    cloud.restate_settings = settings
    cloud.restart_restate()


@pytest.mark.parametrize(("size", "status"), [(DOOR - 1, 400), (DOOR, 400), (DOOR + 1, 413), (5_000_000, 413)])
def test_the_local_cloud_s_ingress_refuses_what_is_over_a_megabyte(
    runner: asyncio.Runner, on_lambda: Harness, size: int, status: int
) -> None:
    content = body(size)
    assert len(content) == size

    assert runner.run(post(on_lambda, "/trips/reserve", content))[0] == status
    if size <= DOOR + 1:  # more, and the connection may break before the answer is read
        assert runner.run(post(on_lambda, "/trips/reserve", content, parts=True))[0] == status


@pytest.mark.parametrize(
    "path", ["/trips/reserve/send", "/trips/reserve/send?delay=1h", "/restate/awakeables/sign_1/resolve"]
)
def test_no_other_way_in_takes_more(runner: asyncio.Runner, on_lambda: Harness, path: str) -> None:
    known = "SELECT id FROM sys_invocation_status ORDER BY id"
    before = runner.run(on_lambda.query(known))

    assert runner.run(post(on_lambda, path, body(DOOR + 1)))[0] == 413

    assert runner.run(on_lambda.query(known)) == before


def test_the_proxy_refuses_just_what_lambda_would(runner: asyncio.Runner, on_lambda: Harness) -> None:
    functions: LambdaClient = local_client("lambda", on_lambda.proxy.url)

    def invoke(size: int) -> int:
        payload = b'"%s"' % (b"x" * (size - 2))
        return functions.invoke(FunctionName=on_lambda.names["TripsVersionArn"], Payload=payload)["StatusCode"]

    assert runner.run(asyncio.to_thread(invoke, LARGEST_PAYLOAD)) == 200
    with pytest.raises(functions.exceptions.RequestTooLargeException):
        runner.run(asyncio.to_thread(invoke, LARGEST_PAYLOAD + 1))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="for this Python, Restate compresses what it sends to Lambda")
def test_a_body_that_fits_into_lambda_is_answered_and_one_a_little_larger_never_starts(
    runner: asyncio.Runner, no_door: Harness
) -> None:
    async def answered(size: int) -> int:
        """The payload that it took."""
        no_door.proxy.largest = 0
        assert (await post(no_door, "/trips/reserve", body(size)))[0] == 400
        return no_door.proxy.largest

    async def scene() -> None:
        # given the size whose payload all but reaches Lambda's limit: payloads of one size differ by a few bytes
        size = 4_700_000 + (LARGEST_PAYLOAD - 16 - await answered(4_700_000)) // 4 * 3
        assert LARGEST_PAYLOAD - 32 < await answered(size) <= LARGEST_PAYLOAD

        # when a little is added, then Lambda refuses it, again and again
        sent = json.loads((await post(no_door, "/trips/reserve/send", body(size + 24)))[1])
        await refused_twice(no_door)
        await no_door.operate("kill", sent["invocationId"])
        assert await no_door.settle() == []

    runner.run(scene())


def test_what_cannot_start_is_found_and_killed_by_the_page_s_commands_and_leaves_nothing(
    runner: asyncio.Runner, no_door: Harness
) -> None:
    (find, shown), (kill, killed) = commands(section("stuck.md", "A request that is too large to start"))
    trip_id, size = b"too-large", r"\b\d{7}\b"

    async def scene() -> None:
        # given a request that Lambda refuses, and its caller, who waits
        content = body(8_000_000).replace(b'"depart_city"', b'"trip_id": "%s", "depart_city"' % trip_id)
        caller = asyncio.create_task(post(no_door, "/trips/reserve", content))

        # when it is looked for with the page's query, then it is found, and nothing else
        def look() -> tuple[int, str]:
            status, printed = run(no_door.cloud, find)
            return status, re.sub(size, "so many", printed)

        expected = comparable(re.sub(size, "so many", "\n".join(shown)))
        seen = await asyncio.to_thread(eventually, look, partial(prints, expected))
        assert prints(expected, seen), seen
        (invocation,) = re.findall(r"inv_\w+", seen[1])

        # and cancelling it does nothing: it is refused again
        await no_door.operate("cancel", invocation)
        await refused_twice(no_door)
        assert not caller.done()

        # when it is killed with the page's command, then it is over
        seen = await asyncio.to_thread(run, no_door.cloud, re.sub(r"inv_\w+", invocation, kill))
        assert prints(killed, seen), seen
        status, answer = await caller
        assert (status, json.loads(answer)["message"]) == (409, "killed")
        assert await no_door.settle() == []
        assert "inv_" not in (await asyncio.to_thread(look))[1]

        # and has left nothing: no row, no notice, and a server that books
        run_id = trip_id.decode()
        assert await asyncio.to_thread(no_door.rows, run_id) == {name: [] for name in SERVICES}
        assert await asyncio.to_thread(no_door.notices, run_id) == []
        assert (await no_door.reserve(run_id)).status == 200

    no_door.play({})
    runner.run(scene())


@pytest.mark.slow
def test_the_alarm_fires_for_what_cannot_start_until_it_is_killed(
    runner: asyncio.Runner, no_door_either_way: Harness
) -> None:
    async def scene() -> None:
        # given a monitor, and a request that Lambda refuses
        watch = await asyncio.to_thread(Watch, no_door_either_way.cloud)
        assert await asyncio.to_thread(watch.becomes, "OK")
        sent = json.loads((await post(no_door_either_way, "/trips/reserve/send", body(8_000_000)))[1])
        await refused_twice(no_door_either_way)

        # then the alarm fires, and when it has been killed, it is quiet
        assert await asyncio.to_thread(watch.becomes, "ALARM")
        await no_door_either_way.operate("kill", sent["invocationId"])
        assert await no_door_either_way.settle() == []
        assert await asyncio.to_thread(watch.becomes, "OK")
        await asyncio.to_thread(no_door_either_way.cloud.destroy, "Watched")

    no_door_either_way.play({})
    runner.run(scene())
