"""What `register` creates: one custom resource per function, in the function's stack, with the permissions it needs."""

import re
from typing import Any, cast

import pytest
from aws_cdk import CfnParameter, Duration, RemovalPolicy, Stack, Stage
from aws_cdk import aws_lambda as lambda_

from restate_lambda_cdk import ServiceDeployer
from stacks import ARN, SERVER, app, function, registrations, resources, server


def test_what_is_registered_is_a_published_version_that_is_retained(stack: Stack, deployer: ServiceDeployer) -> None:
    greeter = function(stack, current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.DESTROY))
    deployer.register(greeter.current_version, environment=server(stack), services=["greeter", "admin"])

    ((name, version),) = resources(stack, "AWS::Lambda::Version").items()
    (registration,) = registrations(stack)
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert registration["FunctionVersionArn"] == {"Ref": name}
    assert registration["ServiceNames"] == ["admin", "greeter"]
    assert registration["AdminUrl"] == SERVER
    assert registration["DrainSeconds"] == "120"
    optional = {"TakeOver", "AllowBreakingChanges", "InvokerRoleArn", "AuthTokenSecretArn", "RestateCloud", "Callers"}
    assert not registration.keys() & optional


def test_options_are_passed_on(stack: Stack, deployer: ServiceDeployer) -> None:
    deployer.register(
        function(stack).current_version,
        environment=server(stack),
        services=["greeter"],
        allow_breaking_changes=True,
        take_over=True,
        drain=Duration.seconds(200),
    )

    (registration,) = registrations(stack)
    assert registration["AllowBreakingChanges"] == registration["TakeOver"] == "true"
    assert registration["DrainSeconds"] == "200"


def test_changing_the_services_updates_the_same_resource() -> None:
    names: list[str] = []
    for services in (["greeter"], ["greeter", "admin"]):
        stack = Stack(app(), "Stack")
        ServiceDeployer(stack, "Deployer").register(
            function(stack).current_version, environment=server(stack), services=services
        )
        names += resources(stack, "Custom::RestateService")

    assert len(names) == 2 and len(set(names)) == 1


def test_a_function_is_registered_once_with_all_of_its_services(stack: Stack, deployer: ServiceDeployer) -> None:
    greeter, restate = function(stack), server(stack)
    deployer.register(greeter.current_version, environment=restate, services=["greeter"])

    with pytest.raises(ValueError, match="is already registered with Stack/Restate: register it once, with all"):
        deployer.register(greeter.current_version, environment=restate, services=["admin"])

    deployer.register(greeter.current_version, environment=server(stack, "Second"), services=["greeter"])
    assert len(registrations(stack)) == 2


def test_two_environments_with_the_same_id_are_rejected_with_their_own_message(
    stack: Stack, deployer: ServiceDeployer
) -> None:
    greeter, elsewhere = function(stack), server(Stack(Stage.of(stack), "Elsewhere"))  # pyright: ignore[reportArgumentType]
    deployer.register(greeter.current_version, environment=server(stack), services=["greeter"])

    with pytest.raises(ValueError, match=r"with Stack/Restate and with Elsewhere/Restate, .* rename one of them\.$"):
        deployer.register(greeter.current_version, environment=elsewhere, services=["greeter"])


def test_two_functions_cannot_serve_one_service_of_an_environment(stack: Stack, deployer: ServiceDeployer) -> None:
    """CloudFormation would register both at the same time, when neither can see the other."""
    restate, first, second = server(stack), function(stack), function(stack, "Second")
    deployer.register(first.current_version, environment=restate, services=["greeter", "admin"])

    with pytest.raises(
        ValueError, match=r"^admin is already registered with Stack/Restate by Stack/Greeter, so Stack/S"
    ):
        deployer.register(second.current_version, environment=restate, services=["admin"])


@pytest.mark.parametrize("who", ["first", "second"])
def test_one_function_may_take_over_from_another_in_one_app(stack: Stack, deployer: ServiceDeployer, who: str) -> None:
    restate = server(stack)
    for name in ("first", "second"):
        version = function(stack, name).current_version
        deployer.register(version, environment=restate, services=["greeter"], take_over=name == who)

    assert [each.get("TakeOver") for each in registrations(stack)].count("true") == 1


@pytest.mark.parametrize("services", ["greeter", [], ["greeter", ""]])
def test_services_are_a_list_of_names(stack: Stack, deployer: ServiceDeployer, services: Any) -> None:
    with pytest.raises(ValueError, match="services must list every service that the function offers, but is"):
        deployer.register(function(stack).current_version, environment=server(stack), services=services)


def test_services_may_be_any_iterable_of_names(stack: Stack, deployer: ServiceDeployer) -> None:
    names: Any = (name for name in ("teller", "greeter"))
    deployer.register(function(stack).current_version, environment=server(stack), services=names)

    assert registrations(stack)[0]["ServiceNames"] == ["greeter", "teller"]


def test_only_a_published_version_is_accepted(stack: Stack, deployer: ServiceDeployer) -> None:
    greeter, restate = function(stack), server(stack)
    version = greeter.current_version
    alias = lambda_.Alias(stack, "Alias", alias_name="live", version=version)  # pyright: ignore[reportArgumentType]
    imported = lambda_.Alias.from_alias_attributes(
        stack,
        "ImportedAlias",
        alias_name="imported",
        alias_version=version,  # pyright: ignore[reportArgumentType]
    )

    for number, (refused, said) in enumerate(
        {
            alias: "live",
            imported: "imported",
            greeter.latest_version: "$LATEST",
            lambda_.Version.from_version_arn(stack, "Alias as version", f"{ARN}:live"): "live",
            lambda_.Version.from_version_arn(stack, "No version", ARN): "the function itself",
            greeter: "the function itself",
        }.items()
    ):
        with pytest.raises(ValueError, match=rf"^greeter needs a published version, .* not {re.escape(said)}\.$"):
            deployer.register(
                cast(lambda_.IVersion, refused), environment=server(stack, f"Restate{number}"), services=["greeter"]
            )

    # also for a function that is registered already
    deployer.register(version, environment=restate, services=["greeter"])
    with pytest.raises(ValueError, match=", not live"):
        deployer.register(cast(lambda_.IVersion, alias), environment=restate, services=["greeter"])

    token = CfnParameter(stack, "Version").value_as_string
    accepted = [
        lambda_.Version.from_version_arn(stack, "Imported version", f"{ARN}:7"),
        lambda_.Version.from_version_arn(stack, "Of a token", token),
        lambda_.Version(stack, "ByHand", lambda_=function(stack, "Other")),  # pyright: ignore[reportArgumentType]
    ]
    for number, each in enumerate(accepted):
        deployer.register(each, environment=restate, services=[f"greeter{number}"])
    assert len(registrations(stack)) == 1 + len(accepted)


def test_callees_are_registered_first_and_know_their_callers(stack: Stack, deployer: ServiceDeployer) -> None:
    restate = server(stack)
    callee = deployer.register(function(stack, "Callee").current_version, environment=restate, services=["callee"])
    for name in ("one", "two"):
        deployer.register(function(stack, name).current_version, environment=restate, services=[name], after=[callee])

    found = resources(stack, "Custom::RestateService")
    (first,) = (name for name, each in found.items() if each["Properties"]["ServiceNames"] == ["callee"])
    assert found[first]["Properties"]["Callers"] == ["one", "two"]
    for name, each in found.items():
        assert (first in each["DependsOn"]) is (name != first)


def test_a_drain_that_does_not_fit_into_the_deployer_s_timeout_is_rejected(stack: Stack) -> None:
    deployer = ServiceDeployer(stack, "Deployer", timeout=Duration.minutes(2))

    with pytest.raises(
        ValueError, match="at least 45 seconds shorter than the deployer's timeout of 120 seconds, but is 120 s"
    ):
        deployer.register(function(stack).current_version, environment=server(stack), services=["greeter"])


def test_an_environment_without_resources_may_be_outside_the_stage() -> None:
    """A stage is deployed on its own, and CDK rejects references across stages."""
    around = app()
    restate = server(Stack(around, "Platform"))
    stack = Stack(Stage(around, "Production"), "Stack")  # pyright: ignore[reportArgumentType]

    ServiceDeployer(stack, "Deployer").register(
        function(stack).current_version, environment=restate, services=["greeter"]
    )

    assert [each["AdminUrl"] for each in registrations(stack)] == [SERVER]
