"""What a web page in your browser can do at the local cloud's ports. At the emulator's: nothing.

Each request is sent as raw bytes, because an HTTP client would set its own `Host`.
"""

import base64
import io
import json
import socket
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from comparison.engines import EMULATOR as OF_THE_COMPARISON
from localcloud.cloud import LocalCloud
from localcloud.environment import local_client
from localcloud.ports import Ports

OF_THE_LOCAL_CLOUD = LocalCloud.default().emulator
MINISTACK_ITSELF = ("-m", "ministack")

HERE = "Host: 127.0.0.1"
OF_A_PAGE = ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors")
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "A" * 22 + "==",
)
FUNCTIONS = "/2015-03-31/functions"
SERVICES = "/_ministack/health"


def ask(
    cloud: LocalCloud, request_line: str, *headers: str, body: bytes = b"", port: int | None = None
) -> HTTPResponse:
    """Send these bytes to the emulator or another port. Returns the answer without its body."""
    head = "\r\n".join([request_line, *headers, f"Content-Length: {len(body)}", "", ""])
    with socket.create_connection(("127.0.0.1", port or cloud.ports.aws), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        answer = HTTPResponse(connection)
        answer.begin()
    return answer


def attack(cloud: LocalCloud) -> list[HTTPResponse]:
    """What a page's two `fetch(…, {method: "POST", mode: "no-cors", body: "…"})` get: create a function, and run it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr(
            "evil.py", "import os\ndef handler(event, context):\n    return os.listdir(os.path.expanduser('~'))\n"
        )
    function = {
        "FunctionName": "evil",
        "Runtime": "python3.13",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Handler": "evil.handler",
        "Code": {"ZipFile": base64.b64encode(archive.getvalue()).decode()},
    }
    headers = (HERE, *OF_A_PAGE, "Content-Type: text/plain;charset=UTF-8")
    return [
        ask(cloud, f"POST {FUNCTIONS} HTTP/1.1", *headers, body=json.dumps(function).encode()),
        ask(cloud, f"POST {FUNCTIONS}/evil/invocations HTTP/1.1", *headers, body=b"{}"),
    ]


def functions(cloud: LocalCloud) -> list[str]:
    return [function.get("FunctionName", "") for function in cloud.client("lambda").list_functions()["Functions"]]


def websocket_api(cloud: LocalCloud) -> str:
    """The path of a websocket API of API Gateway, which accepts every connection."""
    gateway: Any = local_client("apigatewayv2", cloud.aws_url)
    api = gateway.create_api(Name="any", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")
    gateway.create_stage(ApiId=api["ApiId"], StageName="prod")
    return f"/_aws/execute-api/{api['ApiId']}/prod"


@contextmanager
def started(directory: Path, emulator: Sequence[str]) -> Generator[LocalCloud]:
    cloud = LocalCloud(directory, Ports.free())
    cloud.emulator = emulator
    with cloud:
        yield cloud


def test_without_the_guard_a_page_runs_code_on_this_machine(tmp_path: Path) -> None:
    with started(tmp_path, MINISTACK_ITSELF) as cloud:
        created, invoked = attack(cloud)

        assert (created.status, created.headers["access-control-allow-origin"]) == (201, "*")
        assert invoked.status == 200
        assert functions(cloud) == ["evil"]
        path = websocket_api(cloud)
        assert ask(cloud, f"GET {path} HTTP/1.1", HERE, *UPGRADE, "Origin: https://evil.example").status == 101


@pytest.mark.parametrize("emulator", [OF_THE_LOCAL_CLOUD, OF_THE_COMPARISON], ids=" ".join)
def test_a_page_is_refused_and_creates_no_function(tmp_path: Path, emulator: Sequence[str]) -> None:
    with started(tmp_path, emulator) as cloud:
        for refused in attack(cloud):
            assert refused.status == 403
            assert [name for name in refused.headers if name.lower().startswith("access-control")] == []
        assert functions(cloud) == []

        path = websocket_api(cloud)
        assert ask(cloud, f"GET {path} HTTP/1.1", HERE, *UPGRADE, "Origin: https://evil.example").status == 403
        assert ask(cloud, f"GET {path} HTTP/1.1", "Host: evil.example", *UPGRADE).status == 403
        assert ask(cloud, f"GET {path} HTTP/1.1", HERE, *UPGRADE).status == 101


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((f"{HERE}:4566", "Origin: https://evil.example"), id="an origin"),
        pytest.param((f"{HERE}:4566", "Origin: null"), id="a sandboxed page"),
        pytest.param((f"{HERE}:4566", "ORIGIN: http://127.0.0.1:4566"), id="an origin like its own"),
        pytest.param((f"{HERE}:4566", "Origin:"), id="an empty origin"),
        pytest.param((f"{HERE}:4566", "Sec-Fetch-Site: cross-site"), id="an image or a link of a page"),
        pytest.param((f"{HERE}:4566", "Sec-Fetch-Site: same-site"), id="another port of this machine"),
        pytest.param(("Host: evil.example:4566",), id="DNS rebinding"),
        pytest.param(("Host: evil.example:4566", "Sec-Fetch-Site: same-origin"), id="DNS rebinding, same origin"),
        pytest.param(("Host: 127.0.0.1.evil.example",), id="a name that begins like an address"),
        pytest.param(("Host: localhost.evil.example",), id="a name that begins like localhost"),
        pytest.param(("Host: 0.0.0.0:4566",), id="the unspecified address"),
        pytest.param(("Host:",), id="an empty host"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_every_header_that_marks_a_page_is_refused(cloud: LocalCloud, method: str, headers: tuple[str, ...]) -> None:
    preflight = ("Access-Control-Request-Method: POST",) if method == "OPTIONS" else ()

    refused = ask(cloud, f"{method} {SERVICES} HTTP/1.1", *headers, *preflight)

    assert refused.status == 403
    assert [name for name in refused.headers if name.lower().startswith("access-control")] == []


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        pytest.param("1.0", (), 403, id="HTTP/1.0 without a host"),
        pytest.param("1.1", (), 400, id="HTTP/1.1 without a host, which the server itself refuses"),
        pytest.param("1.1", (HERE, "Host: evil.example"), 400, id="two hosts, likewise"),
        pytest.param("1.0", ("Host: evil.example", HERE), 400, id="two hosts in HTTP/1.0"),
        pytest.param("1.1", (HERE, "Origin : https://evil.example"), 400, id="a space behind a name"),
        pytest.param(
            "1.1", (HERE, "X: y", " Origin: https://evil.example"), 200, id="a folded line, which is no Origin"
        ),
    ],
)
def test_a_malformed_request_is_refused_too(
    cloud: LocalCloud, version: str, headers: tuple[str, ...], status: int
) -> None:
    assert ask(cloud, f"GET {SERVICES} HTTP/{version}", *headers).status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:4566", "LOCALHOST", "127.1.2.3", "[::1]:4566"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_program_is_answered(cloud: LocalCloud, host: str, version: str) -> None:
    assert ask(cloud, f"GET {SERVICES} HTTP/{version}", f"Host: {host}").status == 200
    assert ask(cloud, f"GET {SERVICES} HTTP/{version}", f"Host: {host}", "Sec-Fetch-Site: none").status == 200


# Restate's own ports. docs/local-cloud.md says what a page can do there.


def test_a_page_can_book_at_the_ingress_and_read_the_answer(cloud: LocalCloud, stack: dict[str, str]) -> None:
    assert stack
    port, page = cloud.ports.ingress, (HERE, *OF_A_PAGE)
    wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")

    # given the browser's preflight for JSON, when a page books, then it gets an answer that it may read
    allowed = ask(cloud, "OPTIONS /trips/reserve HTTP/1.1", *page, *wanted, port=port)
    booked = ask(cloud, "POST /trips/reserve HTTP/1.1", *page, "Content-Type: application/json", body=b"{}", port=port)
    assert (allowed.status, booked.status) == (200, 200)
    assert allowed.headers["access-control-allow-headers"] == "content-type"
    assert booked.headers["access-control-allow-origin"] == "https://evil.example"

    # and a request that needs no preflight books nothing
    for unasked in (("Content-Type: text/plain",), ("Content-Type: application/x-www-form-urlencoded",), ()):
        assert ask(cloud, "POST /trips/reserve HTTP/1.1", *page, *unasked, body=b"{}", port=port).status == 400
    assert ask(cloud, "GET /trips/reserve HTTP/1.1", *page, port=port).status == 400


@pytest.mark.parametrize("path", ["/deployments", "/query", "/services/flights/state", "/subscriptions"])
def test_a_page_can_change_nothing_by_a_body_at_the_admin_api(cloud: LocalCloud, path: str) -> None:
    port, page = cloud.ports.admin, (HERE, *OF_A_PAGE)

    for unasked in (("Content-Type: text/plain",), ("Content-Type: application/x-www-form-urlencoded",), ()):
        assert ask(cloud, f"POST {path} HTTP/1.1", *page, *unasked, body=b"{}", port=port).status == 415
    wanted = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
    assert ask(cloud, f"OPTIONS {path} HTTP/1.1", *page, *wanted, port=port).status == 405


def test_the_admin_api_is_not_for_a_page_to_read_unless_its_name_was_rebound(cloud: LocalCloud) -> None:
    read = ask(cloud, "GET /deployments HTTP/1.1", HERE, *OF_A_PAGE, port=cloud.ports.admin)
    assert (read.status, read.headers["access-control-allow-origin"]) == (200, None)

    # a page of evil.example, whose name now resolves to 127.0.0.1, has the same origin as the port
    query = json.dumps({"query": "SELECT name FROM sys_service"}).encode()
    headers = ("Host: evil.example", "Origin: http://evil.example", "Content-Type: application/json")
    assert ask(cloud, "POST /query HTTP/1.1", *headers, body=query, port=cloud.ports.admin).status == 200
