"""An HTTP server of a test's own: pytest-httpserver on a free port, where one function answers everything."""

import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which logs each request, where tests look at what is logged


class Server(HTTPServer):
    """It stops at once. The library's own takes half a second, which every test with a server would take longer."""

    def thread_target(self) -> None:
        assert self.server
        self.server.serve_forever(poll_interval=0.01)


@contextmanager
def serving(answer: Callable[[Request], Response]) -> Generator[str]:
    """The URL of such a server. An `answer` that raises ConnectionError closes the connection instead."""
    with Server("127.0.0.1", threaded=True) as server:
        server.expect_request(re.compile("")).respond_with_handler(answer)
        yield server.url_for("").rstrip("/")


def path_of(request: Request) -> str:
    """What was asked for, as it was written, the query included."""
    return request.environ["REQUEST_URI"]
