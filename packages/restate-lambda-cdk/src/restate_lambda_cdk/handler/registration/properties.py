"""The custom resource's properties, as `ServiceDeployer.register` writes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registration.admin import RefusedError
from registration.admin_url import check_url
from registration.api_key import Secret

VERSION = re.compile(r"arn:(?P<partition>[^:]+):lambda:(?P<region>[^:]+):[^:]+:function:[^:]+:\d+")


@dataclass(frozen=True)
class Version:
    """A function version, the services that it must offer, and the role for invoking it.

    callers: services that call these.
    variables: environment variables that the version must have, because they refer to resources.
    registration, request: the registration, and the CloudFormation request that asks for it.
    """

    arn: str
    services: frozenset[str]
    role: str | None = None
    allow_breaking_changes: bool = False
    take_over: bool = False
    callers: frozenset[str] = frozenset()
    variables: Mapping[str, str] | None = None
    registration: str = ""
    request: str = ""

    @property
    def function(self) -> str:
        return function_of(self.arn)

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def is_published(self) -> bool:
        """Whether it is a published version, not an alias, `$LATEST` or the function itself, which can change under an
        invocation in flight."""
        return VERSION.fullmatch(self.arn) is not None

    def is_no_newer_than(self, other: "Version") -> bool:
        """Whether both are versions of one function and this one was not published later."""
        if self.function != other.function or not (self.is_published and other.is_published):
            return False
        return int(self.arn.rpartition(":")[2]) <= int(other.arn.rpartition(":")[2])


@dataclass(frozen=True)
class Wanted:
    """A complete request: a version, and the Restate to register it with, and the key for that."""

    admin_url: str
    secret: Secret | None
    version: Version
    drain_seconds: float
    is_cloud: bool = False
    insecure: bool = False

    @classmethod
    def of(cls, properties: Mapping[str, Any], registration: str, request: str) -> "Wanted":
        secret_arn = properties.get("AuthTokenSecretArn")
        return cls(
            properties.get("AdminUrl", "").rstrip("/"),
            Secret(secret_arn, properties.get("AuthTokenSecretIsPartial") == "true") if secret_arn else None,
            Version(
                properties["FunctionVersionArn"],
                frozenset(properties.get("ServiceNames", ())),
                properties.get("InvokerRoleArn"),
                properties.get("AllowBreakingChanges") == "true",
                properties.get("TakeOver") == "true",
                frozenset(properties.get("Callers", ())),
                properties.get("Variables", {}),
                registration,
                request,
            ),
            float(properties.get("DrainSeconds", "0")),
            properties.get("RestateCloud") == "true",
            properties.get("Insecure") == "true",
        )

    def check(self) -> None:
        """Reject what synth could not check because it was a token there. Raises RefusedError."""
        arn = self.version.arn
        if not self.version.is_published:
            raise RefusedError(f"{arn} is not a published version of a function: pass one, such as current_version.")
        partition = arn.split(":")[1]
        if self.is_cloud and partition != "aws":
            raise RefusedError(f"Restate Cloud, which is in the partition aws, cannot invoke {arn} in {partition}.")

    def check_url(self) -> None:
        """Before a key is sent there. Raises RefusedError."""
        check_url(self.admin_url, has_key=self.secret is not None, insecure=self.insecure)


def function_of(arn: str | None) -> str:
    """The ARN of a version's function."""
    return (arn or "").rpartition(":")[0]
