"""Permissions: Restate invokes versions; the deployer's function reads a key and a version's variables.

Each is a separate policy in the stack of the registered function. So the stacks of the environment and the deployer
need not know who uses them, and CloudFormation revokes a permission only after what depends on it is gone.
"""

import hashlib
import json
from typing import cast

from aws_cdk import CfnElement, Fn, Names, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from . import interfaces
from .acknowledgments import acknowledge


def invoke(scope: Construct, invoker: interfaces.Role, version: interfaces.Version) -> iam.Policy:
    """Allow every published version, because earlier ones finish what they began, and deny `$LATEST`.

    One policy per function: when CloudFormation replaces the function, it deletes the old policy only after the
    registration is updated, so the old function can finish its work.
    """
    function = unqualified(version)
    actions = ["lambda:InvokeFunction"]
    policy = policy_for(invoker, scope, f"Invoke{_id_of_function(version)}")
    policy.add_statements(
        iam.PolicyStatement(actions=actions, resources=[f"{function}:*"]),
        iam.PolicyStatement(actions=actions, resources=[f"{function}:$LATEST"], effect=iam.Effect.DENY),
    )
    _acknowledge_versions(policy, version, "Version numbers published later are not known yet; $LATEST is denied.")
    return policy


def read_variables(scope: Construct, registrar: interfaces.Role, version: interfaces.Version) -> iam.Policy:
    policy = policy_for(registrar, scope, "ReadVariables")
    actions = ["lambda:GetFunctionConfiguration"]
    policy.add_statements(iam.PolicyStatement(actions=actions, resources=[f"{unqualified(version)}:*"]))
    _acknowledge_versions(policy, version, "Version numbers published later are not known yet.")
    return policy


def read_key(stack: Stack, registrar: interfaces.Role, secret: interfaces.Secret) -> iam.Policy:
    """One policy per secret: when it changes, CloudFormation deletes the old policy only after it has updated the
    registrations, so what the old key opened can still be cleaned up.

    `secret.grant_read` would change the secret's own stack, and make two stacks depend on each other.
    """
    arn = secret.secret_arn
    name = f"RestateApiKey{_digest([registrar.node.path, stack.resolve(arn)])}"
    if made := stack.node.try_find_child(name):
        return cast(iam.Policy, made.node.find_child("Read"))
    # A partial ARN may be complete, or lack the six random characters.
    resources = [secret.secret_full_arn] if secret.secret_full_arn else [arn, f"{arn}-??????"]
    policy = policy_for(registrar, Construct(stack, name), "Read")
    policy.add_statements(iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=resources))
    if secret.encryption_key:
        _decrypt(policy, secret.encryption_key)
    return policy


def _decrypt(policy: iam.Policy, key: interfaces.Key) -> None:
    """Allow it for the key that an alias names, too: in a policy, the ARN of an alias allows nothing."""
    key_arn = key.alias_target_key.key_arn if isinstance(key, kms.Alias) else key.key_arn
    keys, is_alias, name = key_arn.partition(":alias/")
    if not is_alias:
        policy.add_statements(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key_arn]))
        return
    conditions = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{name}"}}
    policy.add_statements(
        iam.PolicyStatement(actions=["kms:Decrypt"], resources=[f"{keys}:key/*"], conditions=conditions)
    )
    acknowledge(
        policy,
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:kms:<AWS::Region>:<AWS::AccountId>:key/*]",
        "Only the key with the imported alias: its id is not known.",
    )


def place(version: interfaces.Version) -> str:
    """The path, in its stack, of the version's function, or of the version if that is imported."""
    owned = isinstance(version.lambda_.node.default_child, CfnElement)
    path = (version.lambda_ if owned else version).node.path
    return path.removeprefix(version.stack.node.path).strip("/").replace("/", "-")


def unqualified(version: interfaces.Version) -> str:
    """The function's ARN without a version."""
    function = version.lambda_
    if isinstance(function, lambda_.Function):
        return function.function_arn
    return Fn.join(":", [Fn.select(part, Fn.split(":", version.function_arn)) for part in range(7)])


def policy_for(role: interfaces.Role, scope: Construct, construct_id: str) -> iam.Policy:
    """A policy with a unique name. CDK's name is the logical id, and a policy of the same name for the same role, in
    another stack, another region or a copy of the app, would overwrite this one."""
    digest = _digest([outermost_stack(scope).stack_name, scope.node.path])
    name = f"{Names.unique_resource_name(scope, max_length=80)}{construct_id}{digest}-{Stack.of(scope).region}"
    policy = iam.Policy(scope, construct_id, policy_name=name)
    policy.attach_to_role(role)  # pyright: ignore[reportArgumentType]
    return policy


def outermost_stack(scope: Construct) -> Stack:
    """The stack that is not nested, whose name is not a token."""
    stack = Stack.of(scope)
    while stack.nested_stack_parent:
        stack = stack.nested_stack_parent
    return stack


def _digest(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]


def _id_of_function(version: interfaces.Version) -> str:
    """Changes when CloudFormation would replace the function; empty if it sets nothing that does so."""
    function = version.lambda_.node.default_child
    if not isinstance(function, lambda_.CfnFunction):
        return _digest(version.stack.resolve(unqualified(version)))
    # what CloudFormation cannot change without replacing the function
    replacing = [function.function_name, function.package_type, getattr(function, "tenancy_config", None)]
    set_here = [value for value in map(version.stack.resolve, replacing) if value]  # an unset name is a token
    return _digest(set_here) if set_here else ""


def _acknowledge_versions(policy: iam.Policy, version: interfaces.Version, reason: str) -> None:
    function = version.lambda_.node.default_child
    if isinstance(function, CfnElement):
        logical_id = Stack.of(function).get_logical_id(function)
        acknowledge(policy, f"AwsSolutions-IAM5[Resource::<{logical_id}.Arn>:*]", reason)
