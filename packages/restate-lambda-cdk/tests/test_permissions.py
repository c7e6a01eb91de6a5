"""A registration's permissions: who may invoke what, and which secret the deployer may read, also across stacks."""

from typing import Any, cast

import pytest
from aws_cdk import Environment, NestedStack, Stack, Stage
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import ISecret, Secret

from restate_lambda_cdk import InvocationMonitor, RestateCloudEnvironment, RestateServer, ServiceDeployer
from stacks import ARN, ID, SERVER, app, function, of_action, registrations, resources

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret"


def test_a_role_in_another_account_needs_skip_invoke_grant(deployer: ServiceDeployer) -> None:
    account = Environment(account="111122223333", region="eu-west-1")
    stack = Stack(Stage.of(deployer), "Account", env=account)  # pyright: ignore[reportArgumentType]
    there = ServiceDeployer(stack, "Deployer")
    role = iam.Role.from_role_arn(stack, "Theirs", "arn:aws:iam::444455556666:role/invoker")
    restate = RestateServer(stack, "Restate", admin_url=SERVER, invoker_role=role)

    with pytest.raises(ValueError, match=r"Theirs is in account 444455556666, .* set skip_invoke_grant"):
        there.register(function(stack).current_version, environment=restate, services=["greeter"])

    there.register(function(stack, "B").current_version, environment=restate, services=["b"], skip_invoke_grant=True)
    assert not of_action(stack, "lambda:InvokeFunction")


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


def test_the_permission_to_invoke_is_created_before_the_registration_and_deleted_after_it(
    stack: Stack, deployer: ServiceDeployer
) -> None:
    """CloudFormation deletes in the reverse order of DependsOn, and deleting a registration drains its services."""
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


def test_skip_invoke_grant_grants_nothing(stack: Stack, deployer: ServiceDeployer) -> None:
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=Secret(stack, "Key"))
    deployer.register(function(stack).current_version, environment=cloud, services=["greeter"], skip_invoke_grant=True)

    assert not of_action(stack, "lambda:InvokeFunction")
    assert registrations(stack)[0]["InvokerRoleArn"]


def test_environment_deployer_and_services_may_be_in_three_stacks() -> None:
    # given a secret with its own key, in the environment's stack
    whole = app()
    platform, tools, services, more = (Stack(whole, name) for name in ("Platform", "Tools", "Services", "More"))
    secret = Secret(platform, "Key", encryption_key=kms.Key(platform, "KmsKey"))  # pyright: ignore[reportArgumentType]
    cloud = RestateCloudEnvironment(platform, "Restate", environment_id=ID, api_key=secret)
    deployer = ServiceDeployer(tools, "Deployer")

    # when services in two more stacks are registered
    first = deployer.register(function(services).current_version, environment=cloud, services=["greeter"])
    deployer.register(function(more).current_version, environment=cloud, services=["caller"], after=[first])

    # then their stacks depend on the others, and the others on none
    assembly = whole.synth()
    needs = {
        stack: {each.id for each in assembly.get_stack_by_name(stack).dependencies if not each.id.endswith(".assets")}
        for stack in ("Platform", "Tools", "Services", "More")
    }
    both = {"Platform", "Tools"}
    assert needs == {"Platform": set(), "Tools": set(), "Services": both, "More": both | {"Services"}}

    # and permissions are granted in the services' stacks, by policies whose names do not clash on the role
    names: set[str] = set()
    for stack in (services, more):
        for action in ("lambda:InvokeFunction", "secretsmanager:GetSecretValue", "kms:Decrypt"):
            assert of_action(stack, action), action
        policies = {str(each["Properties"]["PolicyName"]) for each in resources(stack, "AWS::IAM::Policy").values()}
        assert not policies & names
        names |= policies
    assert not of_action(platform, "lambda:InvokeFunction") and not of_action(tools, "secretsmanager:GetSecretValue")


@pytest.mark.parametrize("copy", ["another stack", "another region", "a nested stack"])
def test_policies_for_a_role_that_copies_of_a_stack_share_do_not_overwrite_each_other(copy: str) -> None:
    def policies(name: str, region: str) -> set[str]:
        env = Environment(account="111122223333", region=region)
        stack = outer = Stack(app(), "Main", stack_name=name, env=env)
        if copy == "a nested stack":
            stack = NestedStack(outer, "Services")
        role = iam.Role.from_role_arn(outer, "Role", "arn:aws:iam::111122223333:role/theirs")
        key = Secret.from_secret_complete_arn(outer, "Key", f"{SECRET}:restate-AbCdEf")
        restate = RestateServer(stack, "Restate", admin_url=SERVER, auth_token=key, invoker_role=role)
        deployer = ServiceDeployer(stack, "Deployer", role=role, vpc=ec2.Vpc(stack, "Vpc", max_azs=1))
        InvocationMonitor(stack, "Monitor", environment=restate, role=role)
        deployer.register(function(stack).current_version, environment=restate, services=["greeter"])
        found = resources(stack, "AWS::IAM::Policy").values()
        return {each["Properties"]["PolicyName"] for each in found if each["Properties"]["Roles"] == ["theirs"]}

    one = policies("One", "eu-west-1")
    other = policies("One", "us-east-1") if copy == "another region" else policies("Two", "eu-west-1")

    assert len(one) == len(other) == 7
    assert not one & other
    assert max(len(name) for name in one) <= 128


def test_the_key_of_a_secret_may_be_named_by_an_alias(stack: Stack, deployer: ServiceDeployer) -> None:
    """IAM decides by keys: in a policy, the ARN of an alias allows nothing."""
    made = kms.Key(stack, "Kms").add_alias("alias/made")
    imported = kms.Alias.from_alias_name(stack, "Alias", "alias/theirs")
    for name, key in {"made": made, "imported": imported}.items():
        secret = Secret(stack, f"{name}Key", encryption_key=key)  # pyright: ignore[reportArgumentType]
        restate = RestateServer(stack, f"{name}Restate", admin_url=SERVER, auth_token=secret)
        deployer.register(function(stack, name).current_version, environment=restate, services=[name])

    by_alias, by_key = sorted(of_action(stack, "kms:Decrypt"), key=lambda each: "Fn::GetAtt" in each["Resource"])
    assert by_key["Resource"]["Fn::GetAtt"][0].startswith("Kms")
    assert ending(by_alias["Resource"]) == ":key/*"
    assert by_alias["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/theirs"}}


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
def test_an_imported_secret_is_granted_by_the_name_or_arn_that_it_is_imported_by(
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
    """The part of an ARN that is known at synth."""
    return arn if isinstance(arn, str) else cast(str, arn["Fn::Join"][1][-1])


def test_a_function_that_replaces_another_has_its_own_policy() -> None:
    """CloudFormation creates the new policy before it updates the registration, and deletes the old one afterwards: so
    the old function can be invoked until it is drained."""

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
