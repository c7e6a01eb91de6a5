"""The registration of one function's services with Restate: a custom resource, and the permissions that it needs.

Its properties are the desired state, which the handler establishes at every deployment and rollback that changes them.
All of it is in the function's stack, so the environment and the deployer may be in other stacks.
"""

from collections.abc import Sequence
from typing import cast

from aws_cdk import CfnResource, CustomResource, Duration, RemovalPolicy, Stack, Stage, Token
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from . import interfaces, policies
from .environment import RestateEnvironment
from .references import follow_references, referenced_variables

KEPT_BACK = Duration.seconds(45)
"""Part of the deployer's time-out, reserved for the response (KEPT_BACK_SECONDS in the handler's cloudformation.py)."""


class ServiceRegistration(Construct):
    """A function's registration with Restate. Created by `ServiceDeployer.register`, which documents the arguments.

    Its construct id is that of the environment and the function, so that a change of services is an update. A function
    that is moved in the construct tree is a different function, and needs `take_over` for that one deployment.

    Attributes:
        resource (CustomResource): The custom resource, for dependencies.
        version (IVersion): The registered version.
        environment (RestateEnvironment): Where it is registered.
        services (list[str]): The names of its services, sorted.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        version: interfaces.Version,
        environment: RestateEnvironment,
        registrar: lambda_.Function,
        registrar_role: interfaces.Role,
        timeout: Duration,
        service_timeout: Duration,
        services: Sequence[str],
        after: Sequence["ServiceRegistration"],
        allow_breaking_changes: bool,
        take_over: bool,
        drain: Duration,
        skip_invoke_grant: bool,
    ) -> None:
        self.services = _named(services)
        _refuse_unpublished(version, self.services)
        name = f"{environment.node.id}-{policies.place(version)}"
        _refuse_twice(stack.node.try_find_child(name), version, environment)
        super().__init__(stack, name)
        self.version = version
        self.environment = environment
        if environment.is_cloud and not environment.auth_token:
            raise ValueError(f"{environment.node.path} needs an api_key to register services.")
        environment.refuse_partition(stack)
        if drain.to_seconds() > timeout.to_seconds() - KEPT_BACK.to_seconds():
            raise ValueError(
                f"drain must be at least {KEPT_BACK.to_seconds():.0f} seconds shorter than the deployer's timeout of "
                f"{timeout.to_seconds():.0f} seconds, but is {drain.to_seconds():.0f} seconds."
            )
        _refuse_two_functions(version, environment, self.services, take_over)
        # CloudFormation revokes these only after the services are drained.
        permissions: list[IConstruct] = []
        if environment.invoker_role and not skip_invoke_grant:
            _refuse_another_account(environment.invoker_role, stack)
            permissions.append(policies.invoke(self, environment.invoker_role, version))
        if environment.auth_token:
            permissions.append(policies.read_key(stack, registrar_role, environment.auth_token))
        if isinstance(version, lambda_.Version):
            version.apply_removal_policy(RemovalPolicy.RETAIN)  # work in flight finishes on it
        function = version.lambda_
        if isinstance(function, lambda_.Function):
            follow_references(function)
            permissions.append(policies.read_variables(self, registrar_role, version))
        secret, role = environment.auth_token, environment.invoker_role
        properties = {
            "AdminUrl": environment.admin_url,
            "RestateCloud": _true_or_none(environment.is_cloud),
            "Insecure": _true_or_none(environment.insecure),
            "AuthTokenSecretArn": secret.secret_arn if secret else None,
            "AuthTokenSecretIsPartial": _true_or_none(bool(secret and not secret.secret_full_arn)),
            "ServiceNames": self.services,
            "FunctionVersionArn": version.function_arn,
            "InvokerRoleArn": role.role_arn if role else None,
            "AllowBreakingChanges": _true_or_none(allow_breaking_changes),
            "TakeOver": _true_or_none(take_over),
            "DrainSeconds": f"{drain.to_seconds():.0f}",
            "Variables": referenced_variables(function) if isinstance(function, lambda_.Function) else None,
        }
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::RestateService",
            service_token=registrar.function_arn,
            service_timeout=service_timeout,
            properties={key: value for key, value in properties.items() if value is not None},
        )
        self.resource.node.add_dependency(version, *permissions, *after)
        if Stage.of(environment) is Stage.of(stack):  # CDK rejects a dependency on another stage
            self.resource.node.add_dependency(environment)
        self._callers: set[str] = set()
        for callee in after:
            callee._is_called_by(self.services)

    def _is_called_by(self, services: Sequence[str]) -> None:
        self._callers.update(services)
        resource = cast(CfnResource, self.resource.node.default_child)
        resource.add_property_override("Callers", sorted(self._callers))


def _named(services: Sequence[str]) -> list[str]:
    names = [] if isinstance(services, str) else [*(services or ())]
    if not names or not all(names):
        raise ValueError(f"services must list every service that the function offers, but is {services!r}.")
    return sorted(set(names))


def _refuse_unpublished(version: interfaces.Version, services: Sequence[str]) -> None:
    alias: str | None = getattr(version, "alias_name", None)  # an imported alias has no class of its own
    try:
        qualifier = alias or version.version
    except (AttributeError, RuntimeError):  # the function itself; an ARN that ends with its name
        qualifier = "the function itself"
    if alias or not (Token.is_unresolved(qualifier) or qualifier.isdecimal()):
        raise ValueError(f"{', '.join(services)} needs a published version, such as current_version, not {qualifier}.")


def _refuse_twice(made: IConstruct | None, version: interfaces.Version, environment: RestateEnvironment) -> None:
    if isinstance(made, ServiceRegistration) and made.environment is not environment:
        raise ValueError(
            f"{version.lambda_.node.path} is registered with {made.environment.node.path} and with "
            f"{environment.node.path}, which have the same construct id: rename one of them."
        )
    if made:
        raise ValueError(
            f"{version.lambda_.node.path} is already registered with {environment.node.path}: register it once, "
            "with all of its services."
        )


def _refuse_two_functions(
    version: interfaces.Version, environment: RestateEnvironment, services: Sequence[str], take_over: bool
) -> None:
    """CloudFormation would register both at the same time, and neither would see the other."""
    path = version.lambda_.node.path
    for service in services:
        other, takes_over = environment.serving.setdefault(service, (path, take_over))
        if other != path and not take_over and not takes_over:
            raise ValueError(
                f"{service} is already registered with {environment.node.path} by {other}, so {path} cannot serve it: "
                "remove it from one of them, or set take_over on the one that should serve it."
            )


def _refuse_another_account(role: interfaces.Role, stack: Stack) -> None:
    """CDK would attach the policy to the role of that name in the stack's own account."""
    account = role.principal_account
    if (
        account
        and not Token.is_unresolved(account)
        and account != stack.account
        and not Token.is_unresolved(stack.account)
    ):
        raise ValueError(
            f"{role.node.path} is in account {account}, where this app cannot add a policy: allow it to invoke the "
            "function there, and set skip_invoke_grant."
        )


def _true_or_none(yes: bool) -> str | None:
    return "true" if yes else None
