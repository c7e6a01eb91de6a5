"""The API key of Restate's admin API: read from Secrets Manager whenever it is needed, and kept nowhere.

Reading may be denied at first, because this function's permission was made seconds ago, by the same deployment.
"""

from dataclasses import dataclass
from typing import Any

from registration.admin import RefusedError, UnavailableError
from registration.deadline import PROPAGATION_SECONDS, Deadline, retry

NAME = 6  # the place of a secret's name in its ARN, after as many colons


@dataclass(frozen=True)
class Secret:
    """A secret of Secrets Manager. is_partial: its ARN lacks the six random characters at the end, or may lack them."""

    arn: str
    is_partial: bool = False

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def id(self) -> str:
        """By what to ask for it. A partial ARN whose name ends like `-secret` would be taken for a complete one."""
        return self.arn.split(":", NAME)[NAME] if self.is_partial else self.arn


def read_api_key(secret: Secret, deadline: Deadline) -> str:
    """The secret's text. Raises AdminError."""
    if secret.arn.count(":") < NAME:
        raise RefusedError(f"{secret.arn} is not the ARN of a secret.")
    return retry(deadline.at_most(PROPAGATION_SECONDS), lambda: _read(secret))


def _read(secret: Secret) -> str:
    import boto3  # slow, and only wanted where there is a key
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    once = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})
    try:
        secrets: Any = boto3.client("secretsmanager", region_name=secret.region, config=once)  # pyright: ignore[reportUnknownMemberType]
        held = secrets.get_secret_value(SecretId=secret.id)
    except ClientError as error:
        reason = error.response.get("Error", {})
        said = f"The API key's secret {secret.arn} cannot be read ({reason.get('Code')}: {reason.get('Message')})."
        passing = reason.get("Code") in ("AccessDeniedException", "ThrottlingException", "InternalServiceError")
        raise (UnavailableError(said) if passing else RefusedError(said)) from None
    except BotoCoreError as error:
        raise UnavailableError(f"Secrets Manager cannot be reached ({error}).") from None
    key = held.get("SecretString", "").strip()
    if what := _what_else(key):
        raise RefusedError(f"The secret {secret.arn} {what}: it has to hold an API key and nothing else.")
    return key


def _what_else(key: str) -> str | None:
    """What a secret holds that is no key, without a character of it. A key that Restate rejects is another matter."""
    if not key:
        return "holds no text"
    if key[0] in "{[":
        return "holds JSON"
    if key[0] in "\"'" or key[-1] in "\"'":
        return "holds quotes"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds spaces or characters that are in no key"
    return None
