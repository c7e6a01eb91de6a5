"""Which properties are rejected at deployment, because they were tokens at synth."""

from typing import Any

import pytest

from events import V1, event
from fake_admin import FakeAdmin
from registration import cloudformation
from registration.api_key import Secret
from registration.cloudformation import failure_of
from registration.deadline import Deadline

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key-AbCdEf"


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was read from Secrets Manager."""
    asked: list[Any] = []

    def read_api_key(secret: Any, _: Deadline) -> str:
        asked.append(secret)
        return "key_123"

    monkeypatch.setattr(cloudformation, "read_api_key", read_api_key)
    return asked


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://10.255.255.1:9070", "is plain HTTP, which exposes the API key: use https, or set insecure."),
        ("http://127.0.0.1.example.com:9070", "is plain HTTP"),
        ("http://localhost.example.com:9070", "is plain HTTP"),
        ("", "An empty string is not a URL such as https://restate.example.com:9070."),
        ("restate", "restate is not a URL"),
        ("ftp://restate", "ftp://restate is not a URL"),
        ("https://", "is not a URL"),
        ("https://restate:port", "is not a URL"),
        ("https://[restate", "The admin URL is not a URL"),
        ("https://restate .example.com", "The admin URL is not a URL"),
        ("https://restate\r\nX: y", "The admin URL is not a URL"),
        ("https://me:pw@restate.example.com", "The admin URL is not a URL"),
        ("https://restate.example.com?key=key_123", "The admin URL is not a URL"),
        ("https://restate.example.com#key_123", "The admin URL is not a URL"),
        ("https://key_123@restate.example.com", "The admin URL is not a URL"),
        ("https://:key_123@restate.example.com", "The admin URL is not a URL"),
        ('{"key": "key_123"}', "The admin URL is not a URL"),
    ],
)
def test_an_invalid_url_is_rejected_in_one_sentence_before_a_key_is_read(
    restate: FakeAdmin, deadline: Deadline, read: list[Any], url: str, said: str
) -> None:
    there: dict[str, Any] = {"AdminUrl": url, "AuthTokenSecretArn": SECRET}

    failure = str(failure_of(event("Create", restate, V1, **there), deadline))
    assert said in failure and "\n" not in failure and "key_123" not in failure and "pw" not in failure
    assert failure_of(event("Delete", restate, V1, **there), deadline) is None
    assert not read


def test_a_key_is_sent_over_plain_http_only_to_this_machine_or_if_insecure_is_set(
    restate: FakeAdmin, deadline: Deadline, read: list[Any]
) -> None:
    assert failure_of(event("Create", restate, V1, AuthTokenSecretArn=SECRET), deadline) is None
    by_name: dict[str, Any] = {"AdminUrl": restate.url.replace("127.0.0.1", "localhost"), "AuthTokenSecretArn": SECRET}
    by_name["AuthTokenSecretIsPartial"] = "true"
    assert failure_of(event("Create", restate, V1, **by_name), deadline) is None
    assert read == [Secret(SECRET), Secret(SECRET, is_partial=True)]

    # given an address without a server
    short = deadline.within(1)
    there: dict[str, Any] = {
        "AdminUrl": "http://restate.invalid:9070",
        "AuthTokenSecretArn": SECRET,
        "Insecure": "true",
    }
    assert "cannot be reached" in str(failure_of(event("Create", restate, V1, **there), short))
    there = {"AdminUrl": "https://restate.invalid:9070", "AuthTokenSecretArn": SECRET}
    assert "cannot be reached" in str(failure_of(event("Create", restate, V1, **there), short))
    assert len(read) == 4


def test_without_a_key_plain_http_is_accepted(restate: FakeAdmin, deadline: Deadline) -> None:
    there: dict[str, Any] = {"AdminUrl": "http://restate.invalid:9070"}

    assert "cannot be reached" in str(failure_of(event("Create", restate, V1, **there), deadline.within(1)))


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_a_partition_where_restate_cloud_cannot_invoke_functions_is_rejected(
    restate: FakeAdmin, deadline: Deadline, partition: str
) -> None:
    arn = V1.replace("arn:aws:", f"arn:{partition}:")
    restate.offers[arn] = {"trips": ["reserve"]}

    assert failure_of(event("Create", restate, arn, RestateCloud="true"), deadline) == (
        f"Restate Cloud, which is in the partition aws, cannot invoke {arn} in {partition}."
    )
    assert not restate.known
    assert failure_of(event("Create", restate, arn), deadline) is None, "a self-hosted server may be there"
    restate.known.clear()
    assert failure_of(event("Create", restate, V1, RestateCloud="true"), deadline) is None
