"""An HTTP server for a test: pytest-httpserver on a free port, with one function that answers every request."""

import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request, and tests check the log


class Server(HTTPServer):
    """Stops at once. The library's own takes half a second, in every test with a server."""

    def thread_target(self) -> None:
        assert self.server
        self.server.serve_forever(poll_interval=0.01)


@contextmanager
def serving(answer: Callable[[Request], Response]) -> Generator[str]:
    """Yield the server's URL. An `answer` that raises ConnectionError closes the connection instead."""
    with Server("127.0.0.1", threaded=True) as server:
        server.expect_request(re.compile("")).respond_with_handler(answer)
        yield server.url_for("").rstrip("/")


def path_of(request: Request) -> str:
    """The request's path and query, exactly as they were sent."""
    return request.environ["REQUEST_URI"]
