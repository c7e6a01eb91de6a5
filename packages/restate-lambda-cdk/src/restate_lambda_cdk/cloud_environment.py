"""An environment of Restate Cloud, and the role that it assumes."""

import re
from typing import Self

from aws_cdk import Fn, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from . import interfaces
from .environment import RestateEnvironment

RESTATE_CLOUD_ACCOUNT = "654654156625"
RESTATE_CLOUD_ROLE = f"arn:aws:iam::{RESTATE_CLOUD_ACCOUNT}:role/RestateCloud"
REGIONS = ("us", "eu")
ENVIRONMENT_ID = re.compile("env_[a-z0-9]+")  # part of the host name


class RestateCloudEnvironment(RestateEnvironment):
    """An environment of Restate Cloud.

    Args:
        environment_id: `env_…`. It is the external id in the invoker role's trust policy, so no other customer of
            Restate Cloud can assume the role. A different id is a different environment: services move there, and are
            drained in the old one.
        api_key: The secret whose whole text is an API key with the Admin role. It is read at each registration, and is
            never in a template. None if nothing is registered from this app.
        region: `us` or `eu`. Default: `us`. No effect if both URLs are given.
        invoker_role: A role that Restate Cloud can already assume. Default: a new role for this environment only.
        admin_url: URL of the admin API. Default: port 9070 of the environment's host.
        ingress_url: URL that callers use. Nothing here calls it. Default: port 8080 of the environment's host.

    Attributes:
        ingress_url (str): URL that callers use.
        invoker_role (IRole): The role that Restate Cloud assumes to invoke functions.

    The other attributes are those of `RestateEnvironment`.

    Raises:
        ValueError: The id, region or a URL is invalid, or Restate Cloud cannot assume roles in this partition.
    """

    ingress_url: str  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment_id: str,
        api_key: interfaces.Secret | None,
        region: str = "us",
        invoker_role: interfaces.Role | None = None,
        admin_url: str | None = None,
        ingress_url: str | None = None,
    ) -> None:
        if not Token.is_unresolved(region) and region not in REGIONS:
            raise ValueError(f"region must be one of {', '.join(REGIONS)}, but is {region!r}.")
        if not Token.is_unresolved(environment_id) and not ENVIRONMENT_ID.fullmatch(str(environment_id)):
            raise ValueError(
                f"environment_id must be env_ and lower-case letters or digits, but is {environment_id!r}."
            )
        host = f"{_without_prefix(environment_id)}.env.{region}.restate.cloud"
        super().__init__(
            scope,
            construct_id,
            admin_url=admin_url or f"https://{host}:9070",
            ingress_url=ingress_url or f"https://{host}:8080",
            auth_token=api_key,
            insecure=False,
            is_cloud=True,
        )
        self.refuse_partition(Stack.of(self))
        role = invoker_role or self._invoker_role(environment_id)
        self.invoker_role: interfaces.Role = role  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def from_attributes(
        cls,
        scope: Construct,
        construct_id: str,
        *,
        environment_id: str,
        api_key: interfaces.Secret,
        invoker_role: interfaces.Role,
        region: str = "us",
        admin_url: str | None = None,
        ingress_url: str | None = None,
    ) -> Self:
        """Use the environment in another app than the one that created its invoker role. Creates no resource.

        Args:
            scope: The construct's scope.
            construct_id: The construct's id.
            environment_id: As in the constructor.
            api_key: As in the constructor.
            invoker_role: That role, imported, for example with `Role.from_role_arn(…)`. A role of another account
                cannot be given a policy from here: allow it to invoke the functions in its own app, and register with
                `skip_invoke_grant=True`.
            region: As in the constructor.
            admin_url: As in the constructor.
            ingress_url: As in the constructor.

        Returns:
            The environment.

        Raises:
            ValueError: As in the constructor.
        """
        return cls(
            scope,
            construct_id,
            environment_id=environment_id,
            api_key=api_key,
            region=region,
            invoker_role=invoker_role,
            admin_url=admin_url,
            ingress_url=ingress_url,
        )

    def _invoker_role(self, environment_id: str) -> interfaces.Role:
        """Only Restate Cloud can assume it, and only for the environment that is the external id.

        One role per environment: when the id changes, CloudFormation deletes the old role only after it has updated the
        registrations, so the old environment can finish its work, or continue after a rollback.
        """
        restate_cloud = iam.AccountPrincipal(RESTATE_CLOUD_ACCOUNT)
        conditions = {"aws:PrincipalArn": RESTATE_CLOUD_ROLE, "sts:ExternalId": environment_id}
        role = iam.Role(
            self,
            "InvokerRole" if Token.is_unresolved(environment_id) else f"InvokerRole-{environment_id}",
            description="Assumed by Restate Cloud to invoke registered function versions",
            # see interfaces.py, here and wherever this error is ignored
            assumed_by=restate_cloud.with_conditions({"StringEquals": conditions}),  # pyright: ignore[reportArgumentType]
        )
        assert role.assume_role_policy
        role.assume_role_policy.add_statements(
            iam.PolicyStatement(actions=["sts:TagSession"], principals=[restate_cloud])  # pyright: ignore[reportArgumentType]
        )
        return role  # pyright: ignore[reportReturnType]


def _without_prefix(environment_id: str) -> str:
    if Token.is_unresolved(environment_id):
        return Fn.select(1, Fn.split("env_", environment_id))
    return environment_id.removeprefix("env_")
