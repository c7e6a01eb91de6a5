"""MiniStack, behind a guard that rejects requests from web pages. Everything here starts it this way.

MiniStack answers every origin and asks for no signature, so any page in the developer's browser could create a Lambda,
which runs as the developer. A page cannot hide where its requests come from: the browser sets `Origin`,
`Sec-Fetch-Site` and `Host`, and that is what the guard goes by. SDKs and servers send neither of the first two.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Mapping[str, Any], Receive, Send], Coroutine[Any, Any, None]]

LOOPBACK = re.compile(rb"(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
"""A `Host` that no name server can point elsewhere. Nothing here uses virtual hosts, `<bucket>.localhost` for instance:
the SDKs put the bucket into the path when the endpoint is an IP address."""


def refusal(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Why a request with these headers is rejected, or None if it is accepted."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    if b"origin" in found:
        return "it has an Origin header"
    if not {b"none", b"same-origin"}.issuperset(found.get(b"sec-fetch-site", [])):
        return "its Sec-Fetch-Site is another site"
    hosts = found.get(b"host", [])
    if len(hosts) != 1 or not LOOPBACK.fullmatch(hosts[0]):
        return "its Host is not the loopback interface"
    return None


def guarded(app: App) -> App:
    """Wrap the ASGI application `app`: requests and websockets from web pages are answered 403 and never reach it."""

    async def guard(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        why = None if scope["type"] == "lifespan" else refusal(scope["headers"])
        if why is None:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it is accepted: ASGI makes this a 403
        else:
            sentence = (
                f"The local AWS emulator does not answer web pages, and this looks like a web page's request: {why}.\n"
            )
            body = sentence.encode()
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return guard


def settings(host: str, port: int, data: Path, auth: bool) -> dict[str, str]:
    """MiniStack's environment variables: where it listens, and that its files go to `data`. `auth` enforces IAM."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": host,
        "MINISTACK_HOST": host,
        "TMPDIR": str(data),
        "STATE_DIR": str(data / "state"),
        "S3_DATA_DIR": str(data / "s3"),
        "AUTH": str(auth).lower(),
        # Neither is used here, and both listen on ports of their own.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def main() -> None:
    """Run MiniStack behind the guard."""
    ministack: Any = import_module("ministack.app")
    ministack.app = guarded(ministack.app)
    ministack.main()


if __name__ == "__main__":
    main()
