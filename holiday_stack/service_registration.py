"""The introduction of one service to Restate: the custom resource whose handler is in restate_lambda_cdk.

Its properties say what should be true; the handler makes it so at every deployment, CloudFormation's rollbacks
included. Nothing happens when nothing changed, because then CloudFormation does not ask.
"""

from aws_cdk import CustomResource, Duration, Token
from constructs import Construct

from .restate_environment import RestateEnvironment
from .restate_service import RestateService


class ServiceRegistration(Construct):
    """Makes the service's published version the one that `environment` sends new invocations to.

    Do not rename or move it in the construct tree without its service: CloudFormation would make the new resource and
    then delete the old one, and with it the function's registration. Together with its service it needs `take_over`
    for that one deployment, because the function is another one then.

    after: registrations that have to stand first; name the services that this one calls. Default none.
    allow_breaking_changes: accept that a handler is gone or that the service has become another type. Default no: the
        deployment fails, because callers and invocations in flight may need what is gone.
    take_over: take services from another function, or from a server by URL, that serves them now. Default no: the
        deployment fails, because two stacks would answer for one service. Whoever was taken over is refused at its own
        next deployment.
    drain: how long removing the service waits for invocations in flight before it kills them. Default 30 seconds.

    Raises ValueError if the environment was given no registration_code, or if the service's version is no published
    version: an alias moves on, and `$LATEST` changes, under an invocation in flight. The registration function refuses
    what cannot be seen here, because the ARN is a token.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: RestateEnvironment,
        service: RestateService,
        after: "tuple[ServiceRegistration, ...]" = (),
        allow_breaking_changes: bool = False,
        take_over: bool = False,
        drain: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if not environment.registrar:
            raise ValueError(f"nothing could register {service.name}: the environment has no registration_code")
        _refuse_unpublished(service)
        role = environment.invoker_role
        properties = {
            "AdminUrl": environment.admin_url,
            "AuthTokenSecretArn": environment.auth_token_secret_arn,
            "ServiceName": service.name,
            "FunctionVersionArn": service.version.function_arn,
            "InvokerRoleArn": role.role_arn if role else None,
            "AllowBreakingChanges": str(allow_breaking_changes).lower(),
            "TakeOver": "true" if take_over else None,
            "DrainSeconds": str((drain or Duration.seconds(30)).to_seconds()),
        }
        introduction = CustomResource(
            self,
            "Resource",
            resource_type="Custom::RestateService",
            service_token=environment.registrar.function_arn,
            service_timeout=environment.service_timeout,
            properties={name: value for name, value in properties.items() if value is not None},
        )
        # The role's permissions, the key's and the service's own have to be in place before the first call arrives.
        introduction.node.add_dependency(environment, service, *after)


def _refuse_unpublished(service: RestateService) -> None:
    version = service.version
    alias: str | None = getattr(version, "alias_name", None)  # one that is imported has no class of its own
    qualifier = alias or version.version
    if alias or not (Token.is_unresolved(qualifier) or qualifier.isdecimal()):
        raise ValueError(f"{service.name} needs a published version, such as current_version, and not {qualifier}")
