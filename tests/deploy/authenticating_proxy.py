"""Acts as Restate Cloud's admin API or ingress: forwards requests that have the API key to a real restate-server.

It records every request, and can fail the next registrations as if IAM's changes had not propagated yet.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from werkzeug import Request, Response

from http_server import path_of, serving

KEY, OTHER_KEY = "key_1abcdefghijklmnop", "key_2qrstuvwxyzabcdef"
"""Keys in the format of Restate Cloud."""
NOT_YET = (
    '{"message": "lambda: AccessDeniedException: not authorized to perform sts:AssumeRole", "restate_code": "META0003"}'
)
ASKED, ANSWERED = {"accept", "content-type", "idempotency-key"}, {"content-type", "x-restate-id"}
"""The headers that are forwarded, in requests and responses."""


@dataclass
class AuthenticatingProxy:
    """Accepts only `key`. `asked` has all requests; `refused` is the number of those with another key.

    The next `not_yet` registrations are answered as Restate does when it cannot invoke the function.
    """

    key: str
    url: str = ""
    not_yet: int = 0
    refused: int = 0
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def guarding(admin_url: str, key: str) -> Generator[AuthenticatingProxy]:
    """An authenticating proxy in front of `admin_url`, on a free port of the loopback interface."""
    authenticating_proxy = AuthenticatingProxy(key)
    alone = httpx.Limits(max_keepalive_connections=0)  # see acceptance/driver.py
    inside = httpx.Client(base_url=admin_url, timeout=60, trust_env=False, limits=alone)

    def answer(request: Request) -> Response:
        key, path = request.headers.get("Authorization"), path_of(request)
        authenticating_proxy.asked.append(f"{request.method} {path}")
        if key != f"Bearer {authenticating_proxy.key}":
            authenticating_proxy.refused += 1
            return Response(f"who is {key}?", 401)  # some servers repeat the key
        if authenticating_proxy.not_yet and (request.method, path) == ("POST", "/deployments"):
            authenticating_proxy.not_yet -= 1
            return Response(NOT_YET, 500)
        headers = {name: value for name, value in request.headers.items() if name.lower() in ASKED}
        answer = inside.request(request.method, path, content=request.get_data(), headers=headers)
        return Response(
            answer.content,
            answer.status_code,
            {name: answer.headers[name] for name in ANSWERED & answer.headers.keys()},
        )

    with inside, serving(answer) as authenticating_proxy.url:
        yield authenticating_proxy
