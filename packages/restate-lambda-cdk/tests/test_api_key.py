"""Reading the API key, with a fake of boto3's client."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from events import Clock
from registration.admin import RefusedError, UnavailableError
from registration.api_key import Secret, read_api_key
from registration.deadline import Deadline

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key-AbCdEf"
BINARY = "binary"


class NotFoundError(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceNotFoundException", "Message": "why"}}, "GetSecretValue")


class Secrets:
    """Raises or returns the given results, one per call; the last one repeats."""

    def __init__(self, *results: str | Exception) -> None:
        self.results = list(results)
        self.asked: list[tuple[str | None, str]] = []

    class exceptions:  # noqa: N801
        """As on boto3's client."""

        ResourceNotFoundException = NotFoundError

    def client(self, _service: str, *, region_name: str | None, **_: Any) -> "Secrets":
        self.region = region_name
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        self.asked.append((self.region, SecretId))
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return {"SecretString": result} if result != BINARY else {}


def given(monkeypatch: pytest.MonkeyPatch, *results: str | Exception) -> Secrets:
    secrets = Secrets(*results)
    monkeypatch.setattr(boto3, "client", secrets.client)
    return secrets


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, "GetSecretValue")


def test_the_secret_s_text_is_the_key(monkeypatch: pytest.MonkeyPatch, deadline: Deadline) -> None:
    secrets = given(monkeypatch, "key_123\n")

    assert read_api_key(Secret(ARN), deadline) == "key_123"
    assert secrets.asked == [("eu-west-1", ARN)], "in the secret's region, wherever the function is"


@pytest.mark.parametrize("name", ["restate", "restate-secret", "team/restate:production"])
def test_a_secret_whose_arn_may_be_partial_is_read_by_its_name(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, name: str
) -> None:
    """Secrets Manager would mistake `-secret` for the six random characters of a complete ARN."""
    secrets = given(monkeypatch, "key_123")

    arn = f"arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}"
    assert read_api_key(Secret(arn, is_partial=True), deadline) == "key_123"
    assert secrets.asked == [("us-east-1", name)]


def test_a_secret_whose_arn_is_complete_after_all_is_read_by_its_arn(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline
) -> None:
    secrets = given(monkeypatch, NotFoundError(), "key_123")

    assert read_api_key(Secret(ARN, is_partial=True), deadline) == "key_123"
    assert [asked for _, asked in secrets.asked] == ["key-AbCdEf", ARN]


@pytest.mark.parametrize("is_partial", [False, True])
def test_anything_but_an_arn_is_a_name(monkeypatch: pytest.MonkeyPatch, deadline: Deadline, is_partial: bool) -> None:
    secrets = given(monkeypatch, "key_123")

    assert read_api_key(Secret("restate", is_partial), deadline) == "key_123"
    assert secrets.asked == [(None, "restate")]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalServiceError"])
def test_new_permissions_and_temporary_errors_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, code: str
) -> None:
    given(monkeypatch, error(code), error(code), "key_123")

    assert read_api_key(Secret(ARN), deadline) == "key_123"


def test_a_missing_permission_is_reported_with_the_secret(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, clock: Clock
) -> None:
    given(monkeypatch, error("AccessDeniedException"))

    with pytest.raises(UnavailableError, match=f"{ARN} cannot be read .AccessDeniedException: why"):
        read_api_key(Secret(ARN), deadline)

    assert clock.now <= 120


def test_a_missing_secret_is_final(monkeypatch: pytest.MonkeyPatch, deadline: Deadline, clock: Clock) -> None:
    given(monkeypatch, NotFoundError())

    with pytest.raises(RefusedError, match="ResourceNotFoundException"):
        read_api_key(Secret(ARN), deadline)

    assert clock.now == 0


def test_an_unreachable_secrets_manager_is_retried(monkeypatch: pytest.MonkeyPatch, deadline: Deadline) -> None:
    given(monkeypatch, EndpointConnectionError(endpoint_url="https://secretsmanager"), "key_123")

    assert read_api_key(Secret(ARN), deadline) == "key_123"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (BINARY, "is empty"),
        (' {"key": "key_123"}', "contains JSON"),
        ('["key_123"]', "contains JSON"),
        ('"key_123"', "contains quotes"),
        ("'key_123'", "contains quotes"),
        ('"key_123', "contains quotes"),
        ("key_123'", "contains quotes"),
        ("key_123\x07", "contains spaces or characters that are invalid in a key"),
        ("key_123\nHost: elsewhere", "contains spaces or characters that are invalid in a key"),
        ("key_123 key_123", "contains spaces or characters that are invalid in a key"),
        ("kéy", "contains spaces or characters that are invalid in a key"),
    ],
)
def test_text_that_cannot_be_a_key_is_explained_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, text: str, said: str
) -> None:
    given(monkeypatch, text)

    with pytest.raises(RefusedError) as refused:
        read_api_key(Secret(ARN), deadline)

    assert str(refused.value) == f"The secret {ARN} {said}: it must hold an API key and nothing else."
