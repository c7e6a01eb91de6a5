"""Where Restate is: an environment of Restate Cloud, or a server of your own. Knows nothing of what is deployed.

|              | RestateCloudEnvironment               | RestateServer                                          |
|--------------|---------------------------------------|--------------------------------------------------------|
| invoker role | made here, unless one is given        | none, unless one is given: it has credentials already  |
| API key      | required                              | optional                                               |
| URLs         | follow from the environment's id      | admin_url is required                                  |
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
ENVIRONMENT_ID = re.compile("env_[a-z0-9]+")  # a part of the host's name


class RestateEnvironment(Construct):
    """One Restate, as `ServiceDeployer.register` wants to know it. Make a RestateCloudEnvironment or a RestateServer.

    admin_url, ingress_url: where the admin API is, and where callers reach Restate (None: not known).
    auth_token: the secret that holds an API key, or None.
    invoker_role: the role that Restate assumes to invoke functions, or None: its own credentials do.
    insecure: whether the key may be sent over plain HTTP.
    is_cloud: whether this is Restate Cloud.
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
            raise ValueError(
                f"{admin_url} is plain HTTP, over which an API key can be read: use https, or set insecure=True."
            )
        self.admin_url = admin_url
        self.ingress_url = ingress_url or urls.on_port_8080(admin_url)
        self.auth_token = auth_token
        self.invoker_role: interfaces.Role | None = None
        self.insecure = insecure
        self.is_cloud = is_cloud
        self.serving: dict[str, tuple[str, bool]] = {}
        """Of each service that is registered in this app: the function's path, and whether it may take over."""

    def grant_invoke(self, version: interfaces.Version) -> iam.Policy | None:
        """Let Restate invoke the version's function, where that is registered by hand; `register` does it by itself.

        Returns the policy, in the function's stack. None without an invoker role.
        """
        if not self.invoker_role:
            return None
        scope = Construct(version.stack, f"{self.node.id}-{policies.place(version)}")
        return policies.invoke(scope, self.invoker_role, version)

    def refuse_partition(self, stack: Stack) -> None:
        """Raise ValueError for a stack in which Restate Cloud could assume no role, as far as synth can see that."""
        region = stack.region
        partition = None if Token.is_unresolved(region) else RegionInfo.get(region).partition
        if self.is_cloud and partition not in (None, "aws"):
            raise ValueError(
                f"Restate Cloud is in the partition aws, and cannot assume a role in {region} ({partition}): "
                "use a RestateServer there."
            )


class RestateCloudEnvironment(RestateEnvironment):
    """An environment of Restate Cloud.

    environment_id: `env_…`. It is the external id without which nobody, another customer of Restate Cloud included, can
        assume the invoker role. Another id is another environment: services move there, and are drained here.
    api_key: the secret whose text is an API key with the Admin role, and nothing else. Read at each registration, and
        never in a template. None where nothing is registered from here.
    region: where the environment is, `us` or `eu`. Default `us`. No effect where both URLs are given.
    invoker_role: a role that Restate Cloud can assume already. Default: one is made, for this environment alone.
    admin_url: the admin API. Default: port 9070 of the environment's host.
    ingress_url: where callers reach Restate; nothing here calls it. Default: port 8080 of the environment's host.

    Raises ValueError for an id or a region that cannot be right, and where Restate Cloud could assume no role.
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
            raise ValueError(f"region {region!r} must be one of Restate Cloud's: {', '.join(REGIONS)}.")
        if not Token.is_unresolved(environment_id) and not ENVIRONMENT_ID.fullmatch(str(environment_id)):
            raise ValueError(f"environment_id {environment_id!r} must be env_ and then lower-case letters and digits.")
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
        """The same environment in another app than the one that made its invoker role. Makes no resource.

        invoker_role: that role, imported, such as `Role.from_role_arn(…)`. An import of another account's role cannot
            be given a policy from here: then let it invoke the functions in its own app, and register with
            `skip_invoke_grant=True`.
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

        A role per environment: should that change, CloudFormation drops the old role only after it has updated the
        registrations, so that the old environment can finish its work, or go on with it after a rollback.
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
    """A Restate server that somebody else runs: single or clustered, in this VPC or elsewhere.

    admin_url: the admin API, as the deployer's function reaches it. May be a token.
    ingress_url: where callers reach Restate; nothing here calls it. Default: port 8080 of the admin API's host, or
        None if `admin_url` is a token.
    auth_token: the secret whose text is a key that the admin API demands. Default none: it is called without one.
    invoker_role: the role that the server is to assume to invoke functions; it is given leave to invoke those that are
        registered. Default none: the server invokes with its own credentials, which have to allow it.
    insecure: send `auth_token` over plain HTTP, to another host than this one. Default no: that is refused.

    Raises ValueError for what is no URL, and for a key over plain HTTP.
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
        """The same server in another app. As a server makes no resource anyway, this is its constructor."""
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
