"""What stands in front of Restate Cloud's admin API, or its ingress: it passes on to a real restate-server what comes
with the API key.

It notes every request, and can be told to refuse the next ones as a role does that is not known everywhere yet.
"""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

NOT_YET = (
    '{"message": "lambda: AccessDeniedException: not authorized to perform sts:AssumeRole", "restate_code": "META0003"}'
)
ASKED, ANSWERED = {"accept", "content-type", "idempotency-key"}, {"content-type", "x-restate-id"}
"""The headers that are passed on, each way."""


@dataclass
class Gatekeeper:
    """`key` is the only one that is accepted. `asked` has each request, and `refused` counts those with another key.

    The next `not_yet` registrations are answered as Restate does when it cannot invoke the function.
    """

    key: str
    url: str = ""
    not_yet: int = 0
    refused: int = 0
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def guarding(admin_url: str, key: str) -> Generator[Gatekeeper]:
    """A gatekeeper in front of `admin_url`, on a free port of the loopback interface."""
    gatekeeper = Gatekeeper(key)
    inside = httpx.Client(base_url=admin_url, timeout=60, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            gatekeeper.asked.append(f"{self.command} {self.path}")
            status, content, headers = self.answer(body)
            self.send_response(status)
            for name in ANSWERED & headers.keys():
                self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def answer(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
            if self.headers.get("Authorization") != f"Bearer {gatekeeper.key}":
                gatekeeper.refused += 1
                return 401, f"who is {self.headers.get('Authorization')}?".encode(), {}  # a server that repeats the key
            if gatekeeper.not_yet and self.command == "POST" and self.path == "/deployments":
                gatekeeper.not_yet -= 1
                return 500, NOT_YET.encode(), {}
            headers = {name: value for name, value in self.headers.items() if name.lower() in ASKED}
            answer = inside.request(self.command, self.path, content=body, headers=headers)
            return answer.status_code, answer.content, answer.headers

        do_GET = do_POST = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """The tests' output is not a server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gatekeeper.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield gatekeeper
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        inside.close()
