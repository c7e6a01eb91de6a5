"""The ingress rejects a body that is too large. Without a limit there, such a request never starts, but can be killed.

The proxy rejects what Lambda would (`LARGEST_PAYLOAD`): a payload is the request in base64 and some hundred bytes more.
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

LIMIT = 1_000_000
"""The largest body in bytes that the local cloud's ingress accepts: its setting is 1MB."""
TOO_LARGE = "lambda payload too large"
HEAD, TAIL = b'{"request": {"depart_city": "', b'"}}'
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def body(size: int) -> bytes:
    """A request of this many bytes that hardly compresses. The handler answers 400 because of its city."""
    return HEAD + bytes(random.Random(size).choices(LETTERS, k=size - len(HEAD + TAIL))) + TAIL


async def post(harness: Harness, path: str, content: bytes, chunked: bool = False) -> tuple[int, bytes]:
    """The answer's status and body. Like curl, sends `expect: 100-continue`; `chunked`, without a content length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", harness.cloud.ports.ingress)
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(content)}"
    headers = ["host: localhost", "content-type: application/json", length, "expect: 100-continue", "connection: close"]
    writer.write("\r\n".join([f"POST {path} HTTP/1.1", *headers, "", ""]).encode())
    async with asyncio.timeout(TIMEOUT):
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer.startswith(b"HTTP/1.1 100"):
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content) if chunked else content)
            answer = await reader.readuntil(b"\r\n\r\n")
        rest = await reader.read()
    writer.close()
    return int(answer.split()[1]), rest


async def rejected_twice(harness: Harness) -> None:
    """Wait until Lambda has rejected two more payloads."""
    before = harness.proxy.fired[TOO_LARGE]
    async with asyncio.timeout(TIMEOUT):
        while harness.proxy.fired[TOO_LARGE] < before + 2:
            await asyncio.sleep(0.05)


@pytest.fixture
def no_limit(on_lambda: Harness) -> Iterator[Harness]:
    with without_limit(on_lambda):
        yield on_lambda


@pytest.fixture
def no_limit_either_way(on_lambda_either_way: Harness) -> Iterator[Harness]:
    with without_limit(on_lambda_either_way):
        yield on_lambda_either_way


@contextmanager
def without_limit(on_lambda: Harness) -> Generator[None]:
    """Restate with an ingress that accepts 32 MiB."""
    cloud, settings = on_lambda.cloud, on_lambda.cloud.restate_settings
    cloud.restate_settings = settings | {"RESTATE_INGRESS__REQUEST_SIZE_LIMIT": "32MiB"}
    cloud.restart_restate()
    on_lambda.proxy.fired.clear()
    yield
    cloud.restate_settings = settings
    cloud.restart_restate()


@pytest.mark.parametrize(("size", "status"), [(LIMIT - 1, 400), (LIMIT, 400), (LIMIT + 1, 413), (5_000_000, 413)])
def test_the_local_cloud_s_ingress_rejects_a_body_over_a_megabyte(
    runner: asyncio.Runner, on_lambda: Harness, size: int, status: int
) -> None:
    content = body(size)
    assert len(content) == size

    assert runner.run(post(on_lambda, "/trips/reserve", content))[0] == status
    if size <= LIMIT + 1:  # with more, the connection may break before the answer is read
        assert runner.run(post(on_lambda, "/trips/reserve", content, chunked=True))[0] == status


@pytest.mark.parametrize(
    "path", ["/trips/reserve/send", "/trips/reserve/send?delay=1h", "/restate/awakeables/sign_1/resolve"]
)
def test_no_other_ingress_path_accepts_more(runner: asyncio.Runner, on_lambda: Harness, path: str) -> None:
    known = "SELECT id FROM sys_invocation_status ORDER BY id"
    before = runner.run(on_lambda.query(known))

    assert runner.run(post(on_lambda, path, body(LIMIT + 1)))[0] == 413

    assert runner.run(on_lambda.query(known)) == before


def test_the_proxy_rejects_exactly_what_lambda_would(runner: asyncio.Runner, on_lambda: Harness) -> None:
    functions: LambdaClient = local_client("lambda", on_lambda.proxy.url)

    def invoke(size: int) -> int:
        payload = b'"%s"' % (b"x" * (size - 2))
        return functions.invoke(FunctionName=on_lambda.names["TripsVersionArn"], Payload=payload)["StatusCode"]

    assert runner.run(asyncio.to_thread(invoke, LARGEST_PAYLOAD)) == 200
    with pytest.raises(functions.exceptions.RequestTooLargeException):
        runner.run(asyncio.to_thread(invoke, LARGEST_PAYLOAD + 1))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="with this Python, Restate compresses its requests to Lambda")
def test_a_body_within_lambda_s_limit_is_answered_and_one_slightly_larger_never_starts(
    runner: asyncio.Runner, no_limit: Harness
) -> None:
    async def answered(size: int) -> int:
        """The size of the payload that Lambda got."""
        no_limit.proxy.largest = 0
        assert (await post(no_limit, "/trips/reserve", body(size)))[0] == 400
        return no_limit.proxy.largest

    async def scene() -> None:
        # given a size whose payload just fits: payloads for bodies of one size differ by a few bytes
        size = 4_700_000 + (LARGEST_PAYLOAD - 16 - await answered(4_700_000)) // 4 * 3
        assert LARGEST_PAYLOAD - 32 < await answered(size) <= LARGEST_PAYLOAD

        # when the body is slightly larger, then Lambda rejects each attempt
        sent = json.loads((await post(no_limit, "/trips/reserve/send", body(size + 24)))[1])
        await rejected_twice(no_limit)
        await no_limit.operate("kill", sent["invocationId"])
        assert await no_limit.settle() == []

    runner.run(scene())


def test_the_page_s_commands_find_and_kill_a_request_that_cannot_start_and_nothing_is_left(
    runner: asyncio.Runner, no_limit: Harness
) -> None:
    (find, shown), (kill, killed) = commands(section("stuck.md", "A request that is too large to start"))
    trip_id, size = b"too-large", r"\b\d{7}\b"

    async def scene() -> None:
        # given a request that Lambda rejects, and a caller that waits for it
        content = body(8_000_000).replace(b'"depart_city"', b'"trip_id": "%s", "depart_city"' % trip_id)
        caller = asyncio.create_task(post(no_limit, "/trips/reserve", content))

        # when the page's query is run, then it finds this request and no other
        def look() -> tuple[int, str]:
            status, printed = run(no_limit.cloud, find)
            return status, re.sub(size, "so many", printed)

        expected = comparable(re.sub(size, "so many", "\n".join(shown)))
        seen = await asyncio.to_thread(eventually, look, partial(prints, expected))
        assert prints(expected, seen), seen
        (invocation,) = re.findall(r"inv_\w+", seen[1])

        # and cancelling it has no effect: it is rejected again
        await no_limit.operate("cancel", invocation)
        await rejected_twice(no_limit)
        assert not caller.done()

        # when it is killed with the page's command, then it has ended
        seen = await asyncio.to_thread(run, no_limit.cloud, re.sub(r"inv_\w+", invocation, kill))
        assert prints(killed, seen), seen
        status, answer = await caller
        assert (status, json.loads(answer)["message"]) == (409, "killed")
        assert await no_limit.settle() == []
        assert "inv_" not in (await asyncio.to_thread(look))[1]

        # and there is no row and no notice, and the trip id can be booked
        run_id = trip_id.decode()
        assert await asyncio.to_thread(no_limit.rows, run_id) == {name: [] for name in SERVICES}
        assert await asyncio.to_thread(no_limit.notices, run_id) == []
        assert (await no_limit.reserve(run_id)).status == 200

    no_limit.play({})
    runner.run(scene())


@pytest.mark.slow
def test_the_alarm_fires_for_a_request_that_cannot_start_until_it_is_killed(
    runner: asyncio.Runner, no_limit_either_way: Harness
) -> None:
    async def scene() -> None:
        # given a monitor, and a request that Lambda rejects
        watch = await asyncio.to_thread(Watch, no_limit_either_way.cloud)
        assert await asyncio.to_thread(watch.becomes, "OK")
        sent = json.loads((await post(no_limit_either_way, "/trips/reserve/send", body(8_000_000)))[1])
        await rejected_twice(no_limit_either_way)

        # then the alarm fires, and it clears after the request is killed
        assert await asyncio.to_thread(watch.becomes, "ALARM")
        await no_limit_either_way.operate("kill", sent["invocationId"])
        assert await no_limit_either_way.settle() == []
        assert await asyncio.to_thread(watch.becomes, "OK")
        await asyncio.to_thread(no_limit_either_way.cloud.destroy, "Watched")

    no_limit_either_way.play({})
    runner.run(scene())
