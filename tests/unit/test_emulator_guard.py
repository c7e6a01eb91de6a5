"""The emulator receives requests from programs on this machine, but none from web pages."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from localcloud.emulator import Message, Receive, Send, guarded, refusal

HERE = (b"host", b"127.0.0.1:4566")


class Emulator:
    """Records its requests and answers any origin, as MiniStack does."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        del receive
        self.seen.append(scope["type"])
        headers = [(b"access-control-allow-origin", b"*")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def answer(emulator: Emulator, kind: str, *headers: tuple[bytes, bytes], method: str = "POST") -> list[Message]:
    """The answer to a request with these headers, from the guarded emulator."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("The guard must not read the body of a refused request.")

    scope = {"type": kind, "method": method, "path": "/", "headers": headers}
    asyncio.run(guarded(emulator)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:4566",
        "127.8.8.8:1",
        "localhost",
        "localhost:65535",
        "LocalHost:4566",
        "[::1]",
        "[::1]:4566",
    ],
)
@pytest.mark.parametrize("site", [(), ((b"sec-fetch-site", b"none"),), ((b"sec-fetch-site", b"same-origin"),)])
def test_a_program_on_this_machine_is_answered(host: str, site: tuple[tuple[bytes, bytes], ...]) -> None:
    assert refusal([(b"host", host.encode()), (b"content-type", b"text/plain"), *site]) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4566",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "evil.localhost",
        "evil-localhost",
        "localhost.",
        "localhost@evil.example",
        "localhost:4566@evil.example",
        "127.0.0.1:",
        "127.0.0.1:port",
        "127.0.0.1:4566, evil.example",
        "127.0.0.1 evil.example",
        "127.0.0.1\n",
        "127.0.0.1\t",
        "127.0.0.1\x00.evil.example",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0:4566",
        "128.0.0.1",
        "10.0.0.1",
        "[::]",
        "::1",
        "[::1].evil.example",
        "[::1%25eth0]",
        "\uff11\uff12\uff17.0.0.1",
        "localho\u017ft",
        "",
    ],
)  # fmt: skip
def test_any_other_host_is_refused_because_of_dns_rebinding(host: str) -> None:
    assert refusal([(b"host", host.encode())]) == "its Host is not the loopback interface"


@pytest.mark.parametrize(
    "headers", [(), (HERE, HERE), (HERE, (b"host", b"evil.example")), ((b"host", b"evil.example"), HERE)]
)
def test_a_missing_or_second_host_header_is_refused(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert refusal(headers) == "its Host is not the loopback interface"


@pytest.mark.parametrize("name", [b"origin", b"Origin", b"ORIGIN"])
@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"", b"http://127.0.0.1:4566", b"http://localhost", b"\xff\x00"]
)
def test_every_origin_is_refused(name: bytes, origin: bytes) -> None:
    assert refusal([HERE, (name, origin)]) == "it has an Origin header"
    assert refusal([(name, origin), HERE, (name, origin)]) == "it has an Origin header"


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"None", b"", b"none, cross-site", b" none", b"\xff"])
def test_another_site_is_refused(site: bytes) -> None:
    assert refusal([HERE, (b"Sec-Fetch-Site", site)]) == "its Sec-Fetch-Site is another site"
    assert refusal([HERE, (b"sec-fetch-site", b"none"), (b"sec-fetch-site", site)]) is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"])
def test_a_refusal_is_403_without_a_cors_header_and_the_emulator_does_not_see_it(method: str) -> None:
    emulator = Emulator()

    start, body = answer(emulator, "http", HERE, (b"origin", b"null"), method=method)

    assert start["status"] == 403
    assert dict(start["headers"]) == {
        b"content-type": b"text/plain",
        b"content-length": str(len(body["body"])).encode(),
    }
    assert b"Origin" in body["body"]
    assert emulator.seen == []


def test_a_websocket_is_closed_before_it_is_accepted() -> None:
    emulator = Emulator()

    assert answer(emulator, "websocket", HERE, (b"origin", b"https://evil.example")) == [{"type": "websocket.close"}]
    assert answer(emulator, "websocket", (b"host", b"evil.example")) == [{"type": "websocket.close"}]
    assert emulator.seen == []


def test_an_accepted_request_reaches_the_emulator_unchanged() -> None:
    emulator = Emulator()

    answer(emulator, "http", HERE)
    answer(emulator, "websocket", HERE)
    answer(emulator, "lifespan")

    assert emulator.seen == ["http", "websocket", "lifespan"]
