"""Keys, and secrets that hold them."""

from collections.abc import Iterator

from localcloud import invocations
from localcloud.cloud import LocalCloud
from tests.deploy.state import deployments

KEY, NEW_KEY = "key_1abcdefghijklmnop", "key_2qrstuvwxyzabcdef"

IN_A_HURRY = {"timeout": "50"}  # seconds, of which 45 are kept back for the answer


def kept(cloud: LocalCloud, key: str) -> Iterator[str]:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name=f"restate/{key[:5]}", SecretString=key)["ARN"]
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def remove_by_hand(cloud: LocalCloud) -> None:
    """As an operator would, with the key, or past what demands one."""
    for invocation in cloud.admin.query(invocations.unfinished(columns="id")):
        cloud.admin.operate("kill", invocation["id"])
    for deployment in deployments(cloud):
        cloud.admin.remove(deployment)
