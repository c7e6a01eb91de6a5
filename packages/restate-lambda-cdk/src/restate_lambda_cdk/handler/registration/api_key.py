"""The API key of Restate's admin API: read from Secrets Manager whenever it is needed, and stored nowhere.

Reading may be denied at first, because the same deployment granted the permission only seconds ago.
"""

from dataclasses import dataclass
from typing import Any

from registration.admin import RefusedError, UnavailableError
from registration.deadline import PROPAGATION_SECONDS, Deadline, retry

NAME = 6  # the place of a secret's name in its ARN, after as many colons


@dataclass(frozen=True)
class Secret:
    """A Secrets Manager secret, by its ARN, or by its name, which an emulator's `Ref` may return.

    is_partial: the ARN lacks the six random characters at its end, or may lack them.
    """

    arn: str
    is_partial: bool = False

    @property
    def region(self) -> str | None:
        """The secret's region; for a name, this function's region."""
        return self.arn.split(":")[3] if self._has_name else None

    @property
    def ids(self) -> list[str]:
        """The ids to try, in order. A partial ARN whose name ends like `-secret` is mistaken for a complete one, so
        its name comes first; but it may be complete after all."""
        by_name = self.is_partial and self._has_name
        return [self.arn.split(":", NAME)[NAME], self.arn] if by_name else [self.arn]

    @property
    def _has_name(self) -> bool:
        return self.arn.startswith("arn:") and self.arn.count(":") >= NAME


def read_api_key(secret: Secret, deadline: Deadline) -> str:
    """The secret's text. Raises AdminError."""
    return retry(deadline.within(PROPAGATION_SECONDS), lambda: _read(secret))


def _read(secret: Secret) -> str:
    import boto3  # slow, and only wanted where there is a key
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    once = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})
    found: dict[str, str] = {}
    try:
        secrets: Any = boto3.client("secretsmanager", region_name=secret.region, config=once)  # pyright: ignore[reportUnknownMemberType]
        for each in secret.ids:
            try:
                found = secrets.get_secret_value(SecretId=each)
                break
            except secrets.exceptions.ResourceNotFoundException:
                if each == secret.ids[-1]:
                    raise
    except ClientError as error:
        reason = error.response.get("Error", {})
        said = f"The API key's secret {secret.arn} cannot be read ({reason.get('Code')}: {reason.get('Message')})."
        passing = reason.get("Code") in ("AccessDeniedException", "ThrottlingException", "InternalServiceError")
        raise (UnavailableError(said) if passing else RefusedError(said)) from None
    except BotoCoreError as error:
        raise UnavailableError(f"Secrets Manager cannot be reached ({error}).") from None
    key = found.get("SecretString", "").strip()
    if what := _what_else(key):
        raise RefusedError(f"The secret {secret.arn} {what}: it must hold an API key and nothing else.")
    return key


def _what_else(key: str) -> str | None:
    """What a secret holds that is no key, without a character of it. A key that Restate rejects is another matter."""
    if not key:
        return "is empty"
    if key[0] in "{[":
        return "contains JSON"
    if key[0] in "\"'" or key[-1] in "\"'":
        return "contains quotes"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "contains spaces or characters that are invalid in a key"
    return None
