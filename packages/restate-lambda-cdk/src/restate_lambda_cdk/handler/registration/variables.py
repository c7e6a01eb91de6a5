"""Checks that a version still has the variables of its stack: when a table is replaced, the version stays as it is, and
Restate would go on calling a function that writes to the old table."""

import logging
from typing import Any

from registration.admin import RefusedError, UnavailableError
from registration.deadline import Deadline, retry
from registration.properties import Version

log = logging.getLogger(__name__)

DENIED_SECONDS = 20  # for the permission to read them, which the same deployment has made


def check_variables(version: Version, deadline: Deadline, before: Version | None = None) -> None:
    """Compare the variables and reject a version that differs. Raises RefusedError.

    If they cannot be read, that is a warning: in a VPC, Lambda's API may be out of reach. So is a version that already
    differed `before`, when it could not be read: the update may be a rollback to it.
    """
    if not version.variables:
        return
    try:
        own = retry(deadline.within(DENIED_SECONDS), lambda: _read(version))
    except (RefusedError, UnavailableError) as error:
        log.warning("could not compare the variables of %s with the stack's: %s", version.arn, error)
        return
    differ = _differing(version, own)
    if differ and before and before.arn == version.arn and _differing(before, own):
        log.warning("%s differs from the stack in %s, as it did before", version.arn, ", ".join(differ))
    elif differ:
        raise RefusedError(
            f"{version.arn} was published with a different value of {', '.join(differ)} than the stack has now: "
            "publish a new version of the function."
        )


def _differing(version: Version, own: dict[str, str]) -> list[str]:
    return [name for name, value in sorted((version.variables or {}).items()) if own.get(name) != value]


def _read(version: Version) -> dict[str, str]:
    import boto3  # slow, and only wanted where a variable refers to a resource
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    once = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
    try:
        functions: Any = boto3.client("lambda", region_name=version.region, config=once)  # pyright: ignore[reportUnknownMemberType]
        found = functions.get_function_configuration(FunctionName=version.arn).get("Environment", {})
    except ClientError as error:
        reason = error.response.get("Error", {})
        said = f"{reason.get('Code')}: {reason.get('Message')}"
        passing = "AccessDenied" in str(reason.get("Code")) or reason.get("Code") == "TooManyRequestsException"
        raise (UnavailableError(said) if passing else RefusedError(said)) from None
    except BotoCoreError as error:
        raise RefusedError(f"Lambda cannot be reached ({error})") from None
    if "Error" in found:
        raise RefusedError(f"{found['Error'].get('ErrorCode')}: {found['Error'].get('Message')}")
    return found.get("Variables", {})
