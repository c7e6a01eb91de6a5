"""DynamoDB as the functions see it: a proxy that counts requests, and lets a fault strike at a chosen one."""

import http.client
import json
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from localcloud.ports import HOST, at_end

TABLE = re.compile(r"-(Flights|Cars|Payments|Gate)[0-9A-F]{8}-")
THROTTLED = {
    "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message": "Throttled by the benchmark.",
}

Fault = Callable[[int], "dict[str, str] | None"]
"""Is given the client's port, and returns an error to answer with, or None to let the request through."""


class Quiet(ThreadingHTTPServer):
    """A function that is killed breaks its connection, which is no news here."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class DynamoDBProxy:
    """Forwards to `target`. `counts` holds the requests so far by operation."""

    def __init__(self) -> None:
        self.target = ""
        self.counts: Counter[str] = Counter()
        self._faults: dict[tuple[str, str], Fault] = {}
        self._lock = threading.Lock()
        self._server = Quiet((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def strike_once(self, operation: str, table: str, fault: Fault) -> None:
        """Let the fault strike at the next request of this operation on this table, and at no other."""
        with self._lock:
            self._faults[operation, table] = fault

    def has_struck(self) -> bool:
        """Whether every fault has struck."""
        with self._lock:
            return not self._faults

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.upstream = http.client.HTTPConnection(urlsplit(proxy.target).netloc, timeout=60)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                operation = self.headers["x-amz-target"].rpartition(".")[2]
                error = proxy.note(operation, body, self.client_address[1])
                status, answer = (400, json.dumps(error).encode()) if error else self.forward(body)
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def forward(self, body: bytes) -> tuple[int, bytes]:
                self.upstream.request("POST", "/", body, dict(self.headers))
                answer = self.upstream.getresponse()
                return answer.status, answer.read()

            def finish(self) -> None:
                self.upstream.close()
                super().finish()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base class
                pass

        return Handler

    def note(self, operation: str, body: bytes, port: int) -> dict[str, str] | None:
        """Count a request; returns the error that a fault answers it with, if one does."""
        tables = TABLE.findall(body.decode())
        with self._lock:
            self.counts[operation] += 1
            fault = self._faults.pop((operation, tables[-1] if tables else ""), None)
        return fault(port) if fault else None

    def crash(self, port: int) -> None:
        """A fault: kill the function whose request came from this port, as an out-of-memory kill would."""
        at_end((HOST, port), (HOST, self._server.server_port)).kill()


def throttle(_port: int) -> dict[str, str]:
    return THROTTLED
