"""`make stuck`: the page's advice for each kind of stuck invocation, and the errors for a wrong URL or key."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from demo import stuck
from demo.reservations import trip_of
from demo.restate import Restate
from fake_admin import FakeAdmin, served
from localcloud.environment import LocalCloudError

PAGE = stuck.PAGE.read_text()
ROW: dict[str, Any] = {"id": "inv_1", "target": "payments/oslo/refund", "status": "backing-off", "seconds": 4000}
OF_EACH_KIND = {
    "A mismatch after a restart": {"failure": "[570] Found a mismatch", "restarted_from": "inv_0"},
    "A mismatch with changed code": {"failure": "[570] Found a mismatch between the code paths"},
    "Its deployment is not found": {"failure": "[500] the invocation has a deployment id associated, but"},
    "A table is not found": {"failure": "[500] ResourceNotFoundException('An error occurred')"},
    "It is too large": {"failure": "[500] any", "raw_length": 8_000_000},
}


def test_each_kind_on_the_page_is_recognized_and_has_its_advice() -> None:
    assert [*stuck.kinds(PAGE)] == [*OF_EACH_KIND]
    for kind, row in OF_EACH_KIND.items():
        assert stuck.kind_of(ROW | row) == kind
        assert stuck.advice(ROW | row, PAGE).split(".")[0] in PAGE


def test_an_invocation_of_another_kind_is_listed_with_what_it_waits_for() -> None:
    for status, waits_for in stuck.statuses(PAGE).items():
        assert waits_for in stuck.advice(ROW | {"status": status, "failure": "[500] any"}, PAGE)


def test_the_list_shows_each_invocation_with_its_age_cause_and_advice() -> None:
    console = Console(file=io.StringIO(), width=200)
    stuck.show([ROW | {"trip": "the-trip"} | OF_EACH_KIND["A table is not found"]], PAGE, console)

    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    for part in (
        "the-trip",
        "payments/oslo/refund",
        "inv_1",
        "1:06:40",
        "ResourceNotFoundException",
        "restore the table",
        "1 stuck.",
    ):
        assert part in said


def test_control_characters_do_not_reach_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=200)
    shown = ROW | body(b'{"request": {"trip_id": "\\u001b[2Joslo"}}') | {"failure": "[500] \x9b31m\r\x00"}

    stuck.show([shown], PAGE, console)

    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "\\x1b[2Joslo" in said and "[500] \\x9b31m\\r\\x00" in said
    assert not stuck.CONTROLS.search(said)


def test_a_wrong_key_is_reported_in_one_sentence_without_the_key() -> None:
    with served(FakeAdmin(api_key="right")) as admin, pytest.raises(LocalCloudError) as failure:
        Restate(admin.url, "wrong-key").query("SELECT 1")

    assert "rejected the API key (401)" in str(failure.value)
    assert "wrong-key" not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("restate.example.com", None, "must be a URL"),
        ("https://[restate:9070", "key", "must be a URL"),
        ("https://restate:port", "key", "must be a URL"),
        (
            "https://user:word@restate.example.com",
            "key",
            "^The URL must not contain a user name or a password: leave them out",
        ),
        ("http://restate.example.com:9070", "key", "plain HTTP"),
        ("http://127.0.0.1:1", None, "cannot be reached"),
        ("http://127.0.0.1:1", "a key", "that no key has"),
        ("http://127.0.0.1:1\x07", "key", "must be a URL|cannot be reached"),
        ("https://restate..example.com", "key", "cannot be reached"),
        (f"https://{'a' * 64}.example.com", "key", "cannot be reached"),
    ],
)
def test_an_unreachable_server_is_reported_with_the_reason(url: str, key: str | None, said: str) -> None:
    with pytest.raises(LocalCloudError, match=said):
        Restate(url, key).query("SELECT 1")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("HTTPS_PROXY", "proxy.example.com://"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
def test_a_variable_for_a_proxy_or_certificates_that_cannot_be_used_is_reported(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(LocalCloudError, match="a variable for a proxy or for certificates, such as ALL_PROXY"):
        Restate("https://restate.invalid:9070", "key").query("SELECT 1")


def test_a_local_request_with_a_key_does_not_go_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(FakeAdmin(api_key="right")) as admin, served(FakeAdmin()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)

        with pytest.raises(LocalCloudError, match="rejected the API key"):
            Restate(admin.url.replace("127.0.0.1", "localhost"), "wrong").query("SELECT 1")


def body(content: bytes) -> dict[str, str]:
    """The input column of an invocation with this request."""
    return {"input": json.dumps({"Command": {"Input": {"payload": [*content]}}})}


@pytest.mark.parametrize(
    ("row", "trip"),
    [
        ({"trip": "oslo"} | body(b'{"request": {"trip_id": "other"}}'), "oslo"),
        (body(b'{"request": {"trip_id": "oslo"}}'), "oslo"),
        (body(b'{"trip_id": "oslo", "message": "booked"}'), "oslo"),  # a notice
        (body(b"{}"), "unknown"),
        (body(b'["no", "object"]'), "unknown"),
        (body(b"\xff"), "unknown"),
        (body(b'{"request": {"trip_id": 5}}'), "unknown"),
        (body(b'{"request": {"trip_id": ""}}'), "unknown"),
        (body(b'{"request": "oslo"}'), "unknown"),
        (body(b'{"trip_id": ["oslo"]}'), "unknown"),
        (body(b"[" * 50_000), "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_trip_of_an_invocation_is_found_by_its_key_its_first_call_or_its_request(
    row: dict[str, Any], trip: str
) -> None:
    assert trip_of(ROW | row) == trip


def test_a_port_that_is_not_the_admin_api_is_reported() -> None:
    with served(FakeAdmin(answers_before=[(404, "nothing here")])) as other, pytest.raises(LocalCloudError) as failure:
        Restate(other.url).query("SELECT 1")

    assert "answered 404: is it Restate's admin API" in str(failure.value)
