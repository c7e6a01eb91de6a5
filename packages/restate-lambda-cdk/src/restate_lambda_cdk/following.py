from aws_cdk import aws_lambda as lambda_


def follow_references(function: lambda_.Function) -> None:
    """TODO"""


def referenced_variables(function: lambda_.Function) -> None:
    """TODO"""
