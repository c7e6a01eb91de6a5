"""The services' AWS clients have short time-outs and do not retry, because Restate does."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from werkzeug import Request, Response

from holiday import aws
from http_server import serving

CLIENTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "dynamodb": (aws.dynamodb, lambda client: client.describe_table(TableName="Flights")),
    "sns": (aws.sns, lambda client: client.publish(TopicArn="arn:aws:sns:eu-west-1:111122223333:n", Message="m")),
}


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The requests to a fake AWS that answers each with an error which a client would normally retry."""
    received: list[str] = []

    def refuse(request: Request) -> Response:
        received.append(request.path)
        return Response(status=503)

    with serving(refuse) as url:
        for name, value in {
            "AWS_ENDPOINT": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "NO_PROXY": "*",
        }.items():
            monkeypatch.setenv(name, value)
        for make, _ in CLIENTS.values():
            make.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]
        yield received
        for make, _ in CLIENTS.values():
            make.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]


@pytest.mark.parametrize("service", CLIENTS)
def test_a_request_that_fails_is_made_once(requests: list[str], service: str) -> None:
    make, ask = CLIENTS[service]

    with pytest.raises(ClientError, match="503"):
        ask(make())

    assert len(requests) == 1


@pytest.mark.parametrize("service", CLIENTS)
@pytest.mark.usefixtures("requests")
def test_a_hanging_request_times_out_before_the_function_does(service: str) -> None:
    config = CLIENTS[service][0]().meta.config

    assert (config.connect_timeout, config.read_timeout) == (1, 3)


@pytest.mark.parametrize("on_lambda", [True, False])
def test_a_call_blocks_a_lambda_function_and_no_process_that_serves_others(
    monkeypatch: pytest.MonkeyPatch, on_lambda: bool
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    if on_lambda:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "flights")

    thread = asyncio.run(aws.call(threading.current_thread))

    assert (thread is threading.current_thread()) == on_lambda
