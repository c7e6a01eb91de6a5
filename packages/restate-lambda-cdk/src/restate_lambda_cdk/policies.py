"""Who may do what: Restate invoke versions, the deployer's function read a key and a version's variables.

Each is a policy of its own in the stack of the function that is registered. So neither the environment's stack nor the
deployer's has to know who uses it, and CloudFormation takes a permission away after what depends on it is gone.
"""

import hashlib
import json
from typing import cast

from aws_cdk import CfnElement, Fn, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from . import interfaces
from .acknowledgments import acknowledge


def invoke(scope: Construct, invoker: interfaces.Role, version: interfaces.Version) -> iam.Policy:
    """Every published version, because earlier ones finish what was begun on them, and nothing unpublished.

    A policy per function: should CloudFormation replace that, it drops the old policy only after the registration is
    updated, so that the old function can finish its work.
    """
    function = unqualified(version)
    actions = ["lambda:InvokeFunction"]
    policy = _policy(scope, f"Invoke{_id_of_function(version)}", invoker)
    policy.add_statements(
        iam.PolicyStatement(actions=actions, resources=[f"{function}:*"]),
        iam.PolicyStatement(actions=actions, resources=[f"{function}:$LATEST"], effect=iam.Effect.DENY),
    )
    _acknowledge_versions(
        policy, version, "The numbers of versions that are published later are not known; $LATEST is denied."
    )
    return policy


def read_variables(scope: Construct, registrar: interfaces.Role, version: interfaces.Version) -> iam.Policy:
    policy = _policy(scope, "ReadVariables", registrar)
    actions = ["lambda:GetFunctionConfiguration"]
    policy.add_statements(iam.PolicyStatement(actions=actions, resources=[f"{unqualified(version)}:*"]))
    _acknowledge_versions(policy, version, "The numbers of versions that are published later are not known.")
    return policy


def read_key(stack: Stack, registrar: interfaces.Role, secret: interfaces.Secret) -> iam.Policy:
    """A policy per secret: should the secret change, CloudFormation drops the old policy only after it has updated the
    registrations, so that what the old key opened can still be cleaned up.

    `secret.grant_read` would change the secret's own stack, and close a circle of stacks.
    """
    arn = secret.secret_arn
    name = f"RestateApiKey{_mark([registrar.node.path, stack.resolve(arn)])}"
    if made := stack.node.try_find_child(name):
        return cast(iam.Policy, made.node.find_child("Read"))
    # An ARN that is not complete may be that of a secret of just this name, or lack the six random characters.
    resources = [secret.secret_full_arn] if secret.secret_full_arn else [arn, f"{arn}-??????"]
    policy = _policy(Construct(stack, name), "Read", registrar)
    policy.add_statements(iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=resources))
    if secret.encryption_key:
        key = secret.encryption_key.key_arn
        policy.add_statements(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key]))
    return policy


def place(version: interfaces.Version) -> str:
    """Where the version's function is in its stack, or the version where that is imported and has no function there."""
    owned = isinstance(version.lambda_.node.default_child, CfnElement)
    path = (version.lambda_ if owned else version).node.path
    return path.removeprefix(version.stack.node.path).strip("/").replace("/", "-")


def unqualified(version: interfaces.Version) -> str:
    """The function's ARN without a version."""
    function = version.lambda_
    if isinstance(function, lambda_.Function):
        return function.function_arn
    return Fn.join(":", [Fn.select(part, Fn.split(":", version.function_arn)) for part in range(7)])


def _policy(scope: Construct, construct_id: str, role: interfaces.Role) -> iam.Policy:
    """With a name of its own: CDK's is the logical id, which another stack's policy for the same role may have too."""
    stack = Stack.of(scope)
    name = f"{Names.unique_resource_name(scope, max_length=100)}{construct_id}{_mark(stack.resolve(stack.stack_name))}"
    policy = iam.Policy(scope, construct_id, policy_name=name)
    policy.attach_to_role(role)  # pyright: ignore[reportArgumentType]
    return policy


def _mark(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]


def _id_of_function(version: interfaces.Version) -> str:
    """Another one for a function that replaces this one in the same place, and none where nothing of that is set."""
    function = version.lambda_.node.default_child
    if not isinstance(function, lambda_.CfnFunction):
        return _mark(version.stack.resolve(unqualified(version)))
    # what CloudFormation cannot change in a function that is there
    replacing = [function.function_name, function.package_type, getattr(function, "tenancy_config", None)]
    set_here = [value for value in map(version.stack.resolve, replacing) if value]  # a name that is not is a token
    return _mark(set_here) if set_here else ""


def _acknowledge_versions(policy: iam.Policy, version: interfaces.Version, reason: str) -> None:
    function = version.lambda_.node.default_child
    if isinstance(function, CfnElement):
        logical_id = Stack.of(function).get_logical_id(function)
        acknowledge(policy, f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>:*]", reason)
