"""Which changes to a function, or to what it refers to, publish a new version."""

from typing import Any

import pytest
from aws_cdk import Stack

from restate_lambda_cdk import ServiceDeployer
from stacks import app, function, server, table


def test_a_function_that_is_registered_twice_still_follows_its_references() -> None:
    versions: set[str] = set()
    for key in ("pk", "pk", "id"):
        whole = app()
        stack = Stack(whole, "Stack")
        greeter = function(stack, environment={"TABLE": table(stack, key).table_name})
        deployer = ServiceDeployer(stack, "Deployer")
        for name in ("One", "Two"):
            deployer.register(greeter.current_version, environment=server(stack, name), services=["greeter"])
        resources = whole.synth().get_stack_by_name("Stack").template["Resources"]
        versions |= {name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version"}

    assert len(versions) == 2


@pytest.mark.parametrize("description", [None, "Greets", "x" * 256])
def test_a_change_that_replaces_nothing_changes_the_function_s_description(description: str | None) -> None:
    """Otherwise the deployment would fail: Lambda publishes no new version of an unchanged function."""
    functions: list[dict[str, Any]] = []
    for options in ({}, {"time_to_live_attribute": "expires"}, {"time_to_live_attribute": "expires"}):
        whole = app()
        stack = Stack(whole, "Stack")
        named = table(stack, **options).table_name
        greeter = function(stack, environment={"TABLE": named}, description=description)
        ServiceDeployer(stack, "Deployer").register(
            greeter.current_version, environment=server(stack), services=["greeter"]
        )
        found = whole.synth().get_stack_by_name("Stack").template["Resources"]
        functions += [
            each["Properties"]
            for name, each in found.items()
            if name.startswith("Greeter") and each["Type"] == "AWS::Lambda::Function"
        ]

    one, other, again = (each["Description"] for each in functions)
    assert one != other == again
    assert one.startswith((description or "")[:200]) and len(one) <= 256
