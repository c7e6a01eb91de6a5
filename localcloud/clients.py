"""boto3 clients, with their types."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient


class Clients:
    """Call it with a service's name to get a client of that service. `make` creates each client once."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._made: dict[str, Any] = {}

    @overload
    def __call__(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def __call__(self, service: Literal["cloudwatch"]) -> "CloudWatchClient": ...
    @overload
    def __call__(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def __call__(self, service: Literal["iam"]) -> "IAMClient": ...
    @overload
    def __call__(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def __call__(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def __call__(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def __call__(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def __call__(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def __call__(self, service: Literal["stepfunctions"]) -> "SFNClient": ...
    @overload
    def __call__(self, service: Literal["sts"]) -> "STSClient": ...
    def __call__(self, service: Any) -> Any:
        if service not in self._made:
            self._made[service] = self._make(service)
        return self._made[service]
