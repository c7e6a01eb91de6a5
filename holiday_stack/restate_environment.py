"""Where Restate is: an environment of Restate Cloud, or a server of your own. Knows nothing of what is deployed.

It owns what belongs to that place rather than to a service: the role that Restate assumes to invoke functions, and
the function that introduces services to it, which alone may read its API key.

|              | Restate Cloud (environment_id)     | a server of your own (admin_url)                  |
|--------------|------------------------------------|---------------------------------------------------|
| invoker role | made here, behind an external id   | none: it invokes with its own credentials         |
| API key      | required, to register              | optional                                          |
| URLs         | follow from the environment's id   | admin_url is required                             |
"""

import hashlib
import json
import re
from urllib.parse import urlsplit

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .python_function import RUNTIME, PythonFunction

RESTATE_CLOUD_ACCOUNT = "654654156625"
RESTATE_CLOUD_ROLE = f"arn:aws:iam::{RESTATE_CLOUD_ACCOUNT}:role/RestateCloud"

# How long Lambda may hold an event back while the registration function is throttled. An older one is dropped, because
# CloudFormation may have gone on by the time it is done.
MAX_EVENT_AGE = Duration.minutes(5)


class RestateEnvironment(Construct):
    """One Restate, and how to reach it.

    registration_code: the package of the function that registers, `HANDLER`. Default none:
        there is no `registrar`, a ServiceRegistration is refused, and versions are introduced to Restate by hand.
    environment_id: the environment of Restate Cloud, `env_…`. Default none: Restate is at `admin_url`.
    region: where that environment is, `us` or `eu`. Default `us`.
    admin_url: the admin API, as the registration function reaches it. Default: the environment's own.
    ingress_url: where callers reach Restate; only ever shown. Default: port 8080 of the admin API's host.
    auth_token_secret_arn: a secret whose text is an API key with the Admin role. Default none: no key is sent. With
        the six random characters at its end that secret is granted, without them any of that name. A secret encrypted
        with a key of your own needs a grant of kms:Decrypt to `registrar` besides.
    runtime: the Python of the registration function and of every RestateService here. Default 3.13; 3.12 is the oldest
        that loads restate-sdk's wheels for arm64.
    patience: how long one registration waits for Restate, up to 14 minutes. Default 5 minutes: a deployment fails
        after that, and its last lines say what was waited for.

    Raises ValueError if neither or too little is named.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        registration_code: lambda_.Code | None = None,
        environment_id: str | None = None,
        region: str = "us",
        admin_url: str | None = None,
        ingress_url: str | None = None,
        auth_token_secret_arn: str | None = None,
        runtime: lambda_.Runtime = RUNTIME,
        patience: Duration | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if environment_id and registration_code and not auth_token_secret_arn:
            raise ValueError("Restate Cloud needs an API key: auth_token_secret_arn is missing")
        if environment_id and not admin_url:
            admin_url = f"https://{environment_id.removeprefix('env_')}.env.{region}.restate.cloud:9070"
        if not admin_url:
            raise ValueError("either environment_id or admin_url has to say where Restate is")
        self.admin_url = admin_url
        self.ingress_url = ingress_url or _on_port_8080(admin_url)
        self.auth_token_secret_arn = auth_token_secret_arn
        self.runtime = runtime
        self.patience = patience or Duration.minutes(5)
        self.service_timeout = MAX_EVENT_AGE.plus(self.patience).plus(Duration.minutes(1))
        self.invoker_role = self._invoker_role(environment_id) if environment_id else None
        self.registrar = self._registrar(registration_code) if registration_code else None

    def _invoker_role(self, environment_id: str) -> iam.Role:
        """Only Restate Cloud can assume it, and only for the environment that is the external id.

        A role per environment: should that change, CloudFormation drops the old role only after it has updated the
        registrations, so that the old environment can finish its work, or go on with it after a rollback.
        """
        restate_cloud = iam.AccountPrincipal(RESTATE_CLOUD_ACCOUNT)
        conditions = {"aws:PrincipalArn": RESTATE_CLOUD_ROLE, "sts:ExternalId": environment_id}
        role = iam.Role(
            self,
            f"InvokerRole-{environment_id}",
            description="Assumed by Restate Cloud to invoke registered function versions",
            assumed_by=restate_cloud.with_conditions({"StringEquals": conditions}),  # pyright: ignore[reportArgumentType]
        )
        assert role.assume_role_policy
        role.assume_role_policy.add_statements(
            iam.PolicyStatement(actions=["sts:TagSession"], principals=[restate_cloud])  # pyright: ignore[reportArgumentType]
        )
        return role

    def _registrar(self, code: lambda_.Code) -> lambda_.Function:
        registrar = PythonFunction(
            self,
            "Registrar",
            description="Introduces function versions to Restate",
            runtime=self.runtime,
            code=code,
            handler="registration.cloudformation.handler",
            timeout=self.patience,
            memory_size=256,
            logs_outlive_stack=True,  # only they say what a removal had to leave in Restate
            max_event_age=MAX_EVENT_AGE,
            retry_attempts=0,  # a second attempt, minutes later, could undo what CloudFormation did meanwhile
        )
        if self.auth_token_secret_arn:
            registrar.node.add_dependency(self._api_key_policy(self.auth_token_secret_arn, registrar))
        return registrar

    def _api_key_policy(self, secret_arn: str, registrar: lambda_.Function) -> iam.Policy:
        """A policy per secret: should the secret change, CloudFormation drops the old policy only after it has updated
        the registrations, so that what the old key opened can still be cleaned up."""
        name = hashlib.sha256(json.dumps(Stack.of(self).resolve(secret_arn)).encode()).hexdigest()[:8]
        complete = re.search(r"-[A-Za-z0-9]{6}$", secret_arn)
        read = iam.PolicyStatement(
            actions=["secretsmanager:GetSecretValue"], resources=[secret_arn if complete else f"{secret_arn}-??????"]
        )
        policy = iam.Policy(self, f"ApiKey{name}", statements=[read])
        assert registrar.role
        policy.attach_to_role(registrar.role)
        return policy


def _on_port_8080(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.removesuffix(f':{parts.port}')}:8080"
