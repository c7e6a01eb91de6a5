"""Small stacks, and ways to ask what they synthesize to."""

from typing import Any

from aws_cdk import App, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template
from constructs import Construct

from restate_lambda_cdk import RestateServer

SERVER = "https://restate.example.com:9070"
ID = "env_201hy10cd3h6426jy80tb32n6en"
ARN = "arn:aws:lambda:eu-west-1:111122223333:function:greeter"
Resources = dict[str, dict[str, Any]]


def app() -> App:
    return App(analytics_reporting=False)


def function(stack: Stack, construct_id: str = "Greeter", **options: Any) -> lambda_.Function:
    """A function; what it does matters to no test here."""
    return lambda_.Function(
        stack,
        construct_id,
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("handler = None"),
        **options,
    )


def server(stack: Stack, construct_id: str = "Restate") -> RestateServer:
    return RestateServer(stack, construct_id, admin_url=SERVER)


def resources(stack: Stack, kind: str) -> Resources:
    """Logical ids and resources of one type."""
    return {name: dict(found) for name, found in Template.from_stack(stack).find_resources(kind).items()}


def registrations(stack: Stack) -> list[dict[str, Any]]:
    """Properties of the registrations."""
    return [found["Properties"] for found in resources(stack, "Custom::RestateService").values()]


def statements(stack: Stack) -> list[dict[str, Any]]:
    """All that the policies of a stack say, each with the role that it is for as `Roles`."""
    return [
        statement | {"Roles": policy["Properties"]["Roles"]}
        for policy in resources(stack, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def of_action(stack: Stack, action: str) -> list[dict[str, Any]]:
    return [each for each in statements(stack) if action in each["Action"]]


def table(scope: Construct, key: str = "pk", **options: Any) -> dynamodb.Table:
    partition_key = dynamodb.Attribute(name=key, type=dynamodb.AttributeType.STRING)
    return dynamodb.Table(scope, "Table", partition_key=partition_key, **options)
