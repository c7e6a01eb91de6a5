"""Where Restate runs: Restate Cloud, or a self-hosted server. This module does not know what is deployed.

|              | RestateCloudEnvironment               | RestateServer                                          |
|--------------|---------------------------------------|--------------------------------------------------------|
| invoker role | created here, unless one is given     | none, unless one is given: it has credentials already  |
| API key      | required                              | optional                                               |
| URLs         | derived from the environment id       | admin_url is required                                  |
"""

import re
from typing import Self

from aws_cdk import Fn, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk.region_info import RegionInfo
from constructs import Construct

from . import interfaces, policies, urls

RESTATE_CLOUD_ACCOUNT = "654654156625"
RESTATE_CLOUD_ROLE = f"arn:aws:iam::{RESTATE_CLOUD_ACCOUNT}:role/RestateCloud"
REGIONS = ("us", "eu")
ENVIRONMENT_ID = re.compile("env_[a-z0-9]+")  # part of the host name


class RestateEnvironment(Construct):
    """One Restate environment: create a `RestateCloudEnvironment` or a `RestateServer`.

    Attributes:
        admin_url: URL of the admin API.
        ingress_url: URL that callers use, or None if unknown.
        auth_token: The secret that holds an API key, or None.
        invoker_role: The role that Restate assumes to invoke functions, or None if it uses its own credentials.
        insecure: Whether the key may be sent over plain HTTP.
        is_cloud: Whether this is Restate Cloud.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        admin_url: str,
        ingress_url: str | None,
        auth_token: interfaces.Secret | None,
        insecure: bool,
        is_cloud: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        urls.refuse_others("admin_url", admin_url)
        if ingress_url is not None:
            urls.refuse_others("ingress_url", ingress_url)
        if auth_token and not insecure and urls.is_plain_http(admin_url):
            raise ValueError(f"{admin_url} is plain HTTP, which exposes the API key: use https, or set insecure=True.")
        self.admin_url = admin_url
        self.ingress_url = ingress_url or urls.on_port_8080(admin_url)
        self.auth_token = auth_token
        self.invoker_role: interfaces.Role | None = None
        self.insecure = insecure
        self.is_cloud = is_cloud
        self.serving: dict[str, tuple[str, bool]] = {}
        """For each service registered in this app: the function's path, and whether it may take over."""

    def grant_invoke(self, version: interfaces.Version) -> iam.Policy | None:
        """Allow Restate to invoke a function that you register by hand; `register` does this itself.

        Args:
            version: A version of the function. Restate may invoke all of its published versions.

        Returns:
            The policy, in the function's stack, or None without an invoker role.
        """
        if not self.invoker_role:
            return None
        scope = Construct(version.stack, f"{self.node.id}-{policies.place(version)}")
        return policies.invoke(scope, self.invoker_role, version)

    def refuse_partition(self, stack: Stack) -> None:
        """Raise ValueError if Restate Cloud cannot assume roles in this stack's partition, as far as synth can tell."""
        region = stack.region
        partition = None if Token.is_unresolved(region) else RegionInfo.get(region).partition
        if self.is_cloud and partition not in (None, "aws"):
            raise ValueError(
                f"Restate Cloud, which is in the partition aws, cannot assume a role in {region} ({partition}): "
                "use a RestateServer there."
            )


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
            invoker_role: That role, imported, for example with `Role.from_role_arn(…)`. A role of another account
                cannot be given a policy from here: allow it to invoke the functions in its own app, and register with
                `skip_invoke_grant=True`.

        The other arguments are those of the constructor.
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


class RestateServer(RestateEnvironment):
    """A self-hosted Restate server or cluster, in this VPC or elsewhere.

    Args:
        admin_url: URL of the admin API, as the deployer's function reaches it. May be a token.
        ingress_url: URL that callers use. Nothing here calls it. Default: port 8080 of the admin API's host, or None if
            `admin_url` is a token.
        auth_token: The secret whose whole text is the key that the admin API requires. Default: none.
        invoker_role: The role that the server assumes to invoke functions; it is allowed to invoke those that are
            registered. Default: none, and the server's own credentials must allow it.
        insecure: Allow `auth_token` to be sent over plain HTTP to another host. Default: False, which is an error.

    Raises:
        ValueError: A URL is invalid, or a key would be sent over plain HTTP.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        admin_url: str,
        ingress_url: str | None = None,
        auth_token: interfaces.Secret | None = None,
        invoker_role: interfaces.Role | None = None,
        insecure: bool = False,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            admin_url=admin_url,
            ingress_url=ingress_url,
            auth_token=auth_token,
            insecure=insecure,
            is_cloud=False,
        )
        self.invoker_role = invoker_role

    @classmethod
    def from_attributes(
        cls,
        scope: Construct,
        construct_id: str,
        *,
        admin_url: str,
        ingress_url: str | None = None,
        auth_token: interfaces.Secret | None = None,
        invoker_role: interfaces.Role | None = None,
        insecure: bool = False,
    ) -> Self:
        """Use the server in another app. A server creates no resource, so this is the same as the constructor."""
        return cls(
            scope,
            construct_id,
            admin_url=admin_url,
            ingress_url=ingress_url,
            auth_token=auth_token,
            invoker_role=invoker_role,
            insecure=insecure,
        )


def _without_prefix(environment_id: str) -> str:
    if Token.is_unresolved(environment_id):
        return Fn.select(1, Fn.split("env_", environment_id))
    return environment_id.removeprefix("env_")
