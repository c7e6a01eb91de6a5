"""A deployment for Restate Cloud, in an emulator that enforces IAM.

Restate runs with a session of the role RestateCloud in Restate Cloud's account, and its admin API demands a key. The
trust policy differs from AWS in one respect: see `variants.trust`.
"""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from demo.cloud import HolidayCloud
from localcloud.environment import REGION
from restate_lambda_cdk.cloud_environment import RESTATE_CLOUD_ACCOUNT, RESTATE_CLOUD_ROLE
from tests.deploy import variants
from tests.deploy.authenticating_proxy import KEY, AuthenticatingProxy, guarding

ENVIRONMENT, ANOTHER, SOMEBODY_ELSES = "env_201hy10cd3h6426jy80tb32n6en", "env_201another", "env_201somebodyelses"
SESSION = f"arn:aws:sts::{RESTATE_CLOUD_ACCOUNT}:assumed-role/RestateCloud/restate"
TRUSTS_ALL = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
ASSUMES_ALL = json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]})


@dataclass
class Account:
    """AWS clients with some credentials, by default those of an account's root."""

    url: str
    credentials: dict[str, str]

    def client(self, service: str) -> Any:
        session: Any = boto3.Session(region_name=REGION, **self.credentials)  # pyright: ignore[reportArgumentType]
        return session.client(service, endpoint_url=self.url)

    def assume(self, role: str, session: str = "test", **external_id: str) -> "Account":
        """Assume this role. Returns its session. Raises ClientError."""
        got = self.client("sts").assume_role(RoleArn=role, RoleSessionName=session, **external_id)["Credentials"]
        names = {
            "aws_access_key_id": "AccessKeyId",
            "aws_secret_access_key": "SecretAccessKey",
            "aws_session_token": "SessionToken",
        }
        return Account(self.url, {name: got[given] for name, given in names.items()})


@dataclass
class Deployed:
    """The stack in its cloud, and the accounts that take part."""

    cloud: HolidayCloud
    authenticating_proxy: AuthenticatingProxy
    secret: str
    outputs: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def admin_url(self) -> str:
        return self.authenticating_proxy.url

    def deploy(self, **context: str) -> dict[str, str]:
        """Deploy the holiday with this context. Returns its outputs."""
        shape = {"environment_id": ENVIRONMENT, "auth_token_secret_arn": self.secret, "admin_url": self.admin_url}
        context |= {"test:cloud": json.dumps(shape), "test:principal": SESSION}
        self.outputs = self.cloud.deploy(context, variants.APP)
        return self.outputs

    def root_of(self, account: str) -> Account:
        return Account(self.cloud.aws_url, {"aws_access_key_id": account, "aws_secret_access_key": "test"})

    def restate(self, session: str = "restate") -> Account:
        """Restate Cloud."""
        return self.root_of(RESTATE_CLOUD_ACCOUNT).assume(RESTATE_CLOUD_ROLE, session)

    def function(self, name: str) -> Account:
        """A session of the role of the function whose name contains this text."""
        listed = self.cloud.client("lambda").list_functions()["Functions"]
        (role,) = {each.get("Role", "") for each in listed if name in each.get("FunctionName", "")}
        return self.root_of("000000000000").assume(role)

    def restate_settings(self, external_id: str) -> dict[str, str]:
        """A Restate server's settings, with Restate Cloud's credentials and this external id."""
        credentials = {name.upper(): value for name, value in self.restate().credentials.items()}
        return credentials | {"RESTATE_WORKER__INVOKER__AWS_ASSUME_ROLE_EXTERNAL_ID": external_id}

    def let_restate_use(self, external_id: str) -> None:
        """Start Restate with this external id."""
        self.cloud.restate_settings |= self.restate_settings(external_id)
        self.cloud.restart_restate()


@contextmanager
def deployed_for_restate_cloud(cloud: HolidayCloud) -> Generator[Deployed]:
    """The holiday in this cloud, which is also Restate Cloud: a role in another account, and a key."""
    with guarding(cloud.admin_url, KEY) as authenticating_proxy:
        secrets = cloud.client("secretsmanager")
        secret = secrets.create_secret(Name="restate/api-key", SecretString=KEY)["ARN"]
        deployed = Deployed(cloud, authenticating_proxy, secret)
        iam = deployed.root_of(RESTATE_CLOUD_ACCOUNT).client("iam")
        iam.create_role(RoleName="RestateCloud", AssumeRolePolicyDocument=TRUSTS_ALL)
        iam.put_role_policy(RoleName="RestateCloud", PolicyName="assumes", PolicyDocument=ASSUMES_ALL)
        deployed.let_restate_use(ENVIRONMENT)
        topic = deployed.deploy()["TopicArn"]
        # The topic refuses plain HTTP, and the emulator supports nothing else.
        sns = deployed.function("TripsService").client("sns")
        assert denied(lambda: sns.publish(TopicArn=topic, Message="in the clear")) == cloud.auth
        cloud.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue="")
        yield deployed


def denied(call: Callable[[], Any]) -> bool:
    """Whether IAM denies the call. Any other error is raised."""
    try:
        call()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code in ("AccessDenied", "AccessDeniedException", "AuthorizationError"):
            return True
        raise
    return False
