"""Small stacks, and queries of their templates."""

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
    """A function whose code does not matter here."""
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
    """The resources of one type, by logical id."""
    return {name: dict(found) for name, found in Template.from_stack(stack).find_resources(kind).items()}


def registrations(stack: Stack) -> list[dict[str, Any]]:
    """The registrations' properties."""
    return [found["Properties"] for found in resources(stack, "Custom::RestateService").values()]


def statements(stack: Stack) -> list[dict[str, Any]]:
    """The statements of all policies of a stack, each with its policy's `Roles`."""
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
