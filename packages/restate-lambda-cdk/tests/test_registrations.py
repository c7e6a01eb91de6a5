"""What `register` makes: one custom resource per function, in the function's stack, with all permissions it needs."""

import re
from typing import Any, cast

import pytest
from aws_cdk import CfnParameter, Duration, Environment, RemovalPolicy, Stack, Stage
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import ISecret, Secret

from restate_lambda_cdk import RestateCloudEnvironment, RestateServer, ServiceDeployer
from stacks import SERVER, app, function, of_action, registrations, resources, server

ID = "env_201hy10cd3h6426jy80tb32n6en"
ARN = "arn:aws:lambda:eu-west-1:111122223333:function:greeter"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret"


@pytest.fixture
def stack() -> Stack:
    return Stack(app(), "Stack")


@pytest.fixture
def deployer(stack: Stack) -> ServiceDeployer:
    return ServiceDeployer(stack, "Deployer")


def test_what_is_registered_is_a_published_version_that_is_kept(stack: Stack, deployer: ServiceDeployer) -> None:
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


def test_what_is_asked_for_is_passed_on(stack: Stack, deployer: ServiceDeployer) -> None:
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


def test_naming_other_services_is_an_update_and_no_other_resource() -> None:
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

    with pytest.raises(ValueError, match="is registered with Stack/Restate already: register it once, and name all"):
        deployer.register(greeter.current_version, environment=restate, services=["admin"])

    deployer.register(greeter.current_version, environment=server(stack, "Second"), services=["greeter"])
    assert len(registrations(stack)) == 2


def test_two_environments_of_the_same_id_are_told_apart_from_a_function_that_is_registered_twice(
    stack: Stack, deployer: ServiceDeployer
) -> None:
    greeter, elsewhere = function(stack), server(Stack(Stage.of(stack), "Elsewhere"))  # pyright: ignore[reportArgumentType]
    deployer.register(greeter.current_version, environment=server(stack), services=["greeter"])

    with pytest.raises(
        ValueError, match=r"with Stack/Restate and with Elsewhere/Restate, .* give one of them another\.$"
    ):
        deployer.register(greeter.current_version, environment=elsewhere, services=["greeter"])


def test_two_functions_cannot_serve_one_service_of_an_environment(stack: Stack, deployer: ServiceDeployer) -> None:
    """CloudFormation would register both at the same time, when neither can see that the other one serves."""
    restate, first, second = server(stack), function(stack), function(stack, "Second")
    deployer.register(first.current_version, environment=restate, services=["greeter", "admin"])

    with pytest.raises(
        ValueError, match=r"^admin is registered with Stack/Restate by Stack/Greeter already, and Stack/S"
    ):
        deployer.register(second.current_version, environment=restate, services=["admin"])


@pytest.mark.parametrize("who", ["first", "second"])
def test_one_function_may_take_over_from_another_in_one_app(stack: Stack, deployer: ServiceDeployer, who: str) -> None:
    restate = server(stack)
    for name in ("first", "second"):
        version = function(stack, name).current_version
        deployer.register(version, environment=restate, services=["greeter"], take_over=name == who)

    assert [each.get("TakeOver") for each in registrations(stack)].count("true") == 1


def test_a_role_of_another_account_is_granted_nothing_here(deployer: ServiceDeployer) -> None:
    account = Environment(account="111122223333", region="eu-west-1")
    stack = Stack(Stage.of(deployer), "Account", env=account)  # pyright: ignore[reportArgumentType]
    there = ServiceDeployer(stack, "Deployer")
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::444455556666:role/invoker")
    restate = RestateServer(stack, "Restate", admin_url=SERVER, invoker_role=role)

    with pytest.raises(ValueError, match=r"Theirs is in the account 444455556666, .* set skip_invoke_grant"):
        there.register(function(stack).current_version, environment=restate, services=["greeter"])

    there.register(function(stack, "B").current_version, environment=restate, services=["b"], skip_invoke_grant=True)
    assert not of_action(stack, "lambda:InvokeFunction")


@pytest.mark.parametrize("services", ["greeter", [], ["greeter", ""]])
def test_services_are_a_list_of_names(stack: Stack, deployer: ServiceDeployer, services: Any) -> None:
    with pytest.raises(ValueError, match="services must list every service that the function offers, and is"):
        deployer.register(function(stack).current_version, environment=server(stack), services=services)


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
        with pytest.raises(ValueError, match=rf"^greeter needs a published version, .* and not {re.escape(said)}\.$"):
            deployer.register(
                cast(lambda_.IVersion, refused), environment=server(stack, f"Restate{number}"), services=["greeter"]
            )

    # of one that is registered too
    deployer.register(version, environment=restate, services=["greeter"])
    with pytest.raises(ValueError, match="and not live"):
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


def test_restate_may_invoke_published_versions_of_an_imported_function_too(
    stack: Stack, deployer: ServiceDeployer
) -> None:
    role = iam.Role.from_role_arn(stack, "Invoker", "arn:aws:iam::111122223333:role/invoker")
    restate = RestateServer(stack, "Restate", admin_url=SERVER, invoker_role=role)
    version = lambda_.Version.from_version_arn(stack, "Version", f"{ARN}:7")

    deployer.register(version, environment=restate, services=["greeter"])

    allow, deny = of_action(stack, "lambda:InvokeFunction")
    assert (allow["Effect"], allow["Resource"]) == ("Allow", f"{ARN}:*")
    assert (deny["Effect"], deny["Resource"]) == ("Deny", f"{ARN}:$LATEST")
    assert allow["Roles"] == ["invoker"]


def test_the_permission_to_invoke_is_taken_away_after_the_registration_and_made_before_it(
    stack: Stack, deployer: ServiceDeployer
) -> None:
    """CloudFormation deletes in the reverse order of DependsOn, and services are drained when theirs is deleted."""
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=Secret(stack, "Key"))
    callee = deployer.register(function(stack, "Callee").current_version, environment=cloud, services=["callee"])
    deployer.register(function(stack).current_version, environment=cloud, services=["greeter"], after=[callee])

    invoke = {
        name for name, policy in resources(stack, "AWS::IAM::Policy").items() if "lambda:InvokeFunction" in str(policy)
    }
    assert len(invoke) == 2, "one per function, so that the other's stays"
    for name, found in resources(stack, "Custom::RestateService").items():
        assert {each for each in invoke if each[:12] == name[:12]} <= {*found["DependsOn"]}, name
        assert [each for each in found["DependsOn"] if each.startswith("RestateApiKey")]
        assert [each for each in found["DependsOn"] if "ReadVariables" in each]


def test_who_invokes_is_the_callers_business_when_they_say_so(stack: Stack, deployer: ServiceDeployer) -> None:
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=Secret(stack, "Key"))
    deployer.register(function(stack).current_version, environment=cloud, services=["greeter"], skip_invoke_grant=True)

    assert not of_action(stack, "lambda:InvokeFunction")
    assert registrations(stack)[0]["InvokerRoleArn"]


def test_callees_come_first_and_know_who_calls_them(stack: Stack, deployer: ServiceDeployer) -> None:
    restate = server(stack)
    callee = deployer.register(function(stack, "Callee").current_version, environment=restate, services=["callee"])
    for name in ("one", "two"):
        deployer.register(function(stack, name).current_version, environment=restate, services=[name], after=[callee])

    found = resources(stack, "Custom::RestateService")
    (first,) = (name for name, each in found.items() if each["Properties"]["ServiceNames"] == ["callee"])
    assert found[first]["Properties"]["Callers"] == ["one", "two"]
    for name, each in found.items():
        assert (first in each["DependsOn"]) is (name != first)


def test_a_drain_that_does_not_fit_into_the_deployer_s_timeout_is_refused(stack: Stack) -> None:
    deployer = ServiceDeployer(stack, "Deployer", timeout=Duration.minutes(2))

    with pytest.raises(
        ValueError, match="at least 45 seconds shorter than the deployer's timeout of 120 seconds, and is 120 s"
    ):
        deployer.register(function(stack).current_version, environment=server(stack), services=["greeter"])


def test_environment_deployer_and_services_may_be_in_three_stacks() -> None:
    # given a secret with a key of its own, in the environment's stack
    whole = app()
    where, who, what, more = (Stack(whole, name) for name in ("Where", "Who", "What", "More"))
    secret = Secret(where, "Key", encryption_key=kms.Key(where, "KmsKey"))  # pyright: ignore[reportArgumentType]
    cloud = RestateCloudEnvironment(where, "Restate", environment_id=ID, api_key=secret)
    deployer = ServiceDeployer(who, "Deployer")

    # when services in two more are registered
    first = deployer.register(function(what).current_version, environment=cloud, services=["greeter"])
    deployer.register(function(more).current_version, environment=cloud, services=["caller"], after=[first])

    # then they depend on the others, and the others on nobody
    assembly = whole.synth()
    needs = {
        stack: {each.id for each in assembly.get_stack_by_name(stack).dependencies if not each.id.endswith(".assets")}
        for stack in ("Where", "Who", "What", "More")
    }
    assert needs == {"Where": set(), "Who": set(), "What": {"Where", "Who"}, "More": {"Where", "Who", "What"}}

    # and what is granted is granted in the services' stacks, by policies whose names do not clash on the role
    names: set[str] = set()
    for stack in (what, more):
        for action in ("lambda:InvokeFunction", "secretsmanager:GetSecretValue", "kms:Decrypt"):
            assert of_action(stack, action), action
        policies = {each["Properties"]["PolicyName"] for each in resources(stack, "AWS::IAM::Policy").values()}
        assert not policies & names
        names |= policies
    assert not of_action(where, "lambda:InvokeFunction") and not of_action(who, "secretsmanager:GetSecretValue")


def secrets(stack: Stack, kind: str) -> ISecret:
    made = {
        "name": lambda: Secret.from_secret_name_v2(stack, "Key", "team/restate"),
        "partial": lambda: Secret.from_secret_partial_arn(stack, "Key", f"{SECRET}:restate-secret"),
        "complete": lambda: Secret.from_secret_complete_arn(stack, "Key", f"{SECRET}:restate-AbCdEf"),
    }
    return made[kind]()


@pytest.mark.parametrize(
    ("kind", "arn", "is_partial", "granted"),
    [
        ("name", ":secret:team/restate", "true", [":secret:team/restate", ":secret:team/restate-??????"]),
        (
            "partial",
            f"{SECRET}:restate-secret",
            "true",
            [f"{SECRET}:restate-secret", f"{SECRET}:restate-secret-??????"],
        ),
        ("complete", f"{SECRET}:restate-AbCdEf", None, [f"{SECRET}:restate-AbCdEf"]),
    ],
)
def test_an_imported_secret_is_granted_as_what_it_is_imported_by(
    stack: Stack, deployer: ServiceDeployer, kind: str, arn: str, is_partial: str | None, granted: list[str]
) -> None:
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=secrets(stack, kind))
    for name in ("One", "Two"):
        deployer.register(function(stack, name).current_version, environment=cloud, services=[name])

    for registration in registrations(stack):
        assert ending(registration["AuthTokenSecretArn"]) == arn
        assert registration.get("AuthTokenSecretIsPartial") == is_partial
    (statement,) = of_action(stack, "secretsmanager:GetSecretValue")
    found = cast(list[Any], statement["Resource"] if len(granted) > 1 else [statement["Resource"]])
    assert [ending(each) for each in found] == granted


def ending(arn: Any) -> str:
    """Of an ARN that CloudFormation joins, the part that is known now."""
    return arn if isinstance(arn, str) else cast(str, arn["Fn::Join"][1][-1])


def test_an_environment_that_makes_nothing_may_be_outside_of_the_stage() -> None:
    """A stage is deployed on its own, and CDK refuses what crosses its edge."""
    around = app()
    restate = server(Stack(around, "Platform"))
    stack = Stack(Stage(around, "Production"), "Stack")  # pyright: ignore[reportArgumentType]

    ServiceDeployer(stack, "Deployer").register(
        function(stack).current_version, environment=restate, services=["greeter"]
    )

    assert [each["AdminUrl"] for each in registrations(stack)] == [SERVER]


def test_a_function_that_replaces_another_in_its_place_has_a_policy_of_its_own() -> None:
    """What CloudFormation makes is there before the registration is updated, and what it drops goes after that: so the
    old function is invoked until it is drained."""

    def policies(**options: Any) -> set[str]:
        stack = Stack(app(), "Stack")
        cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=Secret(stack, "Key"))
        version = (
            lambda_.Version.from_version_arn(stack, "Greeter", options["arn"])
            if "arn" in options
            else function(stack, **options).current_version
        )
        ServiceDeployer(stack, "Deployer").register(version, environment=cloud, services=["greeter"])
        found = resources(stack, "AWS::IAM::Policy").items()
        return {
            text
            for logical_id, policy in found
            if "lambda:InvokeFunction" in str(policy)
            for text in (logical_id, str(policy["Properties"]["PolicyName"]))
        }

    # another name, or another imported function, is another function
    several = [policies(), policies(function_name="one"), policies(function_name="two")]
    several += [policies(arn=f"{ARN}:7"), policies(arn=f"{ARN}-two:7")]
    assert all(len(names) == 2 for names in several)
    assert len({name for names in several for name in names}) == 2 * len(several)

    # and another version, or other code, is not
    assert policies(arn=f"{ARN}:7") == policies(arn=f"{ARN}:8")
    assert policies(function_name="one") == policies(function_name="one", description="other")
