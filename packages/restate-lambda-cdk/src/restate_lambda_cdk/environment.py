"""Where Restate runs: Restate Cloud (cloud_environment.py), or a self-hosted server. Neither knows what is deployed.

|              | RestateCloudEnvironment               | RestateServer                                          |
|--------------|---------------------------------------|--------------------------------------------------------|
| invoker role | created there, unless one is given    | none, unless one is given: it has credentials already  |
| API key      | required                              | optional                                               |
| URLs         | derived from the environment id       | admin_url is required                                  |
"""

from typing import Self

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk.region_info import RegionInfo
from constructs import Construct

from . import interfaces, policies, urls


class RestateEnvironment(Construct):
    """One Restate environment: create a `RestateCloudEnvironment` or a `RestateServer`.

    Attributes:
        admin_url (str): URL of the admin API.
        ingress_url (str | None): URL that callers use, or None if unknown.
        auth_token (ISecret | None): The secret that holds an API key, or None.
        invoker_role (IRole | None): The role that Restate assumes to invoke functions, or None if it uses its own
            credentials.
        insecure (bool): Whether the key may be sent over plain HTTP.
        is_cloud (bool): Whether this is Restate Cloud.
        serving (dict[str, tuple[str, bool]]): For each service registered in this app, its function's path and whether
            that may take over.
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
        """Refuse a partition in which Restate Cloud cannot assume roles, as far as synth can tell.

        Args:
            stack: The stack of the function to invoke.

        Raises:
            ValueError: This is Restate Cloud, and the stack's region is not in the partition `aws`, as Restate Cloud's
                account is: IAM allows no role to be assumed across partitions.
        """
        region = stack.region
        partition = None if Token.is_unresolved(region) else RegionInfo.get(region).partition
        if self.is_cloud and partition not in (None, "aws"):
            raise ValueError(
                f"Restate Cloud, which is in the partition aws, cannot assume a role in {region} ({partition}): "
                "use a RestateServer there."
            )


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
        """Use the server in another app. A server creates no resource, so this is the same as the constructor.

        Args:
            scope: The construct's scope.
            construct_id: The construct's id.
            admin_url: As in the constructor.
            ingress_url: As in the constructor.
            auth_token: As in the constructor.
            invoker_role: As in the constructor.
            insecure: As in the constructor.

        Returns:
            The server.

        Raises:
            ValueError: As in the constructor.
        """
        return cls(
            scope,
            construct_id,
            admin_url=admin_url,
            ingress_url=ingress_url,
            auth_token=auth_token,
            invoker_role=invoker_role,
            insecure=insecure,
        )
