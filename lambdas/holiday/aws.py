"""AWS clients with short time-outs, because Restate does the retrying.

`AWS_ENDPOINT` (or the AWS SDK's own `AWS_ENDPOINT_URL`) points them at an emulator. boto3 comes with the Lambda
runtime. It is imported when the first client is made: at start-up in a function with a table, otherwise at first use.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sns import SNSClient


@cache
def dynamodb() -> "DynamoDBClient":
    return _client("dynamodb")


@cache
def sns() -> "SNSClient":
    return _client("sns")


def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    make = cast(Any, boto3).client
    return make(service, config=config, endpoint_url=os.environ.get("AWS_ENDPOINT"))
