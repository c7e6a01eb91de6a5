"""Reading the API key, against a fake for boto3's client."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from events import Clock
from registration.admin import RefusedError, UnavailableError
from registration.api_key import read_api_key
from registration.deadline import Deadline

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key-AbCdEf"


class Secrets:
    """Raises or returns what it is given, one thing per call, and the last for ever."""

    def __init__(self, *results: str | Exception) -> None:
        self.results = list(results)

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == ARN
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return {"SecretString": result}


def given(monkeypatch: pytest.MonkeyPatch, *results: str | Exception) -> None:
    def client(*_: str, **__: Any) -> Secrets:
        return secrets

    secrets = Secrets(*results)
    monkeypatch.setattr(boto3, "client", client)


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, "GetSecretValue")


def test_the_secrets_text_is_the_key(monkeypatch: pytest.MonkeyPatch, deadline: Deadline) -> None:
    given(monkeypatch, "key_123\n")

    assert read_api_key(ARN, deadline) == "key_123"


def test_a_permission_that_was_granted_seconds_ago_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline
) -> None:
    given(monkeypatch, error("AccessDeniedException"), error("AccessDeniedException"), "key_123")

    assert read_api_key(ARN, deadline) == "key_123"


def test_a_permission_that_never_comes_is_named_with_the_secret(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, clock: Clock
) -> None:
    given(monkeypatch, error("AccessDeniedException"))

    with pytest.raises(UnavailableError, match=f"{ARN} cannot be read .AccessDeniedException: why"):
        read_api_key(ARN, deadline)

    assert clock.now <= 120


def test_a_secret_that_is_not_there_is_final(monkeypatch: pytest.MonkeyPatch, deadline: Deadline, clock: Clock) -> None:
    given(monkeypatch, error("ResourceNotFoundException"))

    with pytest.raises(RefusedError, match="ResourceNotFoundException"):
        read_api_key(ARN, deadline)

    assert clock.now == 0


def test_secrets_manager_out_of_reach_is_waited_for(monkeypatch: pytest.MonkeyPatch, deadline: Deadline) -> None:
    given(monkeypatch, EndpointConnectionError(endpoint_url="https://secretsmanager"), "key_123")

    assert read_api_key(ARN, deadline) == "key_123"


@pytest.mark.parametrize("text", ["", '{"key": "key_123"}', "key_123\nHost: elsewhere", "kéy"])
def test_what_cannot_be_a_key_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, deadline: Deadline, text: str
) -> None:
    given(monkeypatch, text)

    with pytest.raises(RefusedError, match="expected to hold an API key and nothing else") as refused:
        read_api_key(ARN, deadline)

    assert "123" not in str(refused.value).replace(ARN, "")
