"""AWS clients with short time-outs, because Restate does the retrying.

`AWS_ENDPOINT` (or the AWS SDK's own `AWS_ENDPOINT_URL`) points them at an emulator. boto3 comes with the Lambda
runtime. It is imported when the first client is made: at start-up in a function with a table, otherwise at first use.
"""

import asyncio
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from restate.aws_lambda import is_running_on_lambda

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient

P = ParamSpec("P")
T = TypeVar("T")


async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that calls AWS, which blocks.

    In a process that serves many trips it runs in a thread. A Lambda function handles one request at a time, which
    would only wait for the thread, and a thread costs more CPU than the rest of a step.
    """
    if is_running_on_lambda():
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


@cache
def dynamodb() -> "DynamoDBClient":
    return _client("dynamodb")


@cache
def sns() -> "SNSClient":
    return _client("sns")


def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"total_max_attempts": 1},
        user_agent="holiday",  # boto3's own is put together anew in each call: a seventh of a call's CPU
        parameter_validation=False,  # a twelfth: the types of the parameters are checked when the code is
    )
    make = cast(Any, boto3).client
    return make(service, config=config, endpoint_url=os.environ.get("AWS_ENDPOINT"))
