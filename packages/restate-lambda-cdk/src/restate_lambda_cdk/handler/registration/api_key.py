"""The API key of Restate's admin API: read from Secrets Manager whenever it is needed, and kept nowhere.

Reading may be denied at first, because this function's permission was made seconds ago, by the same deployment.
"""

from registration.admin import RefusedError, UnavailableError
from registration.deadline import Deadline
from registration.registering import PROPAGATION_SECONDS, retry


def read_api_key(secret_arn: str, deadline: Deadline) -> str:
    """The secret's text. Raises AdminError."""
    return retry(deadline.at_most(PROPAGATION_SECONDS), lambda: _read(secret_arn))


def _read(secret_arn: str) -> str:
    import boto3  # slow, and only wanted where there is a key
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    once = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})
    try:
        secrets = boto3.client("secretsmanager", config=once)  # pyright: ignore[reportUnknownMemberType]
        key = secrets.get_secret_value(SecretId=secret_arn).get("SecretString", "").strip()
    except ClientError as error:
        reason = error.response.get("Error", {})
        said = f"The API key's secret {secret_arn} cannot be read ({reason.get('Code')}: {reason.get('Message')})."
        passing = reason.get("Code") in ("AccessDeniedException", "ThrottlingException", "InternalServiceError")
        raise (UnavailableError(said) if passing else RefusedError(said)) from None
    except BotoCoreError as error:
        raise UnavailableError(f"Secrets Manager cannot be reached ({error}).") from None
    if not key or not key.isascii() or any(space in key for space in " \t\r\n"):
        raise RefusedError(f"The secret {secret_arn} is expected to hold an API key and nothing else.")
    return key
