"""The admin client: its error for each kind of answer, and what no error reveals."""

import socket
import threading

import pytest

from events import V1
from fake_admin import FakeAdmin
from registration import admin as module
from registration.admin import LONGEST_MESSAGE, REQUEST_SECONDS, RUNS_ON, Admin, RefusedError, UnavailableError
from registration.cloudformation import KEPT_BACK_SECONDS

KEY = "key_1234567890"


def test_the_key_is_sent_as_a_bearer_token_with_every_request(restate: FakeAdmin) -> None:
    restate.api_key = KEY
    admin = Admin(restate.url, KEY)

    admin.check_health()
    admin.remove(admin.register(V1, None).id)
    admin.unfinished(["dp_1"])

    assert restate.keys == [f"Bearer {KEY}"] * 4


def test_without_a_key_none_is_sent(restate: FakeAdmin) -> None:
    Admin(restate.url).check_health()

    assert restate.keys == [None]


def test_the_key_is_never_sent_unencrypted_to_an_https_address(restate: FakeAdmin) -> None:
    with pytest.raises(UnavailableError, match=r"cannot be reached .*SSL"):
        Admin(restate.url.replace("http:", "https:"), KEY).check_health()

    assert restate.keys == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_is_final_and_says_what_to_do_without_showing_the_key(restate: FakeAdmin, status: int) -> None:
    restate.answers_before = [(status, f"no such key: {KEY}")]

    with pytest.raises(RefusedError, match="check that the secret holds a valid one") as refused:
        Admin(restate.url, KEY).check_health()

    assert str(status) in str(refused.value)
    assert KEY not in str(refused.value) and KEY not in repr(Admin(restate.url, KEY))


def test_a_missing_key_is_final_and_asks_for_the_secret(restate: FakeAdmin) -> None:
    restate.api_key = KEY

    with pytest.raises(RefusedError, match=r"requires an API key .* pass its secret as auth_token"):
        Admin(restate.url).check_health()


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_temporary_failure_can_be_retried(restate: FakeAdmin, status: int) -> None:
    restate.answers_before = [(status, {"message": "one moment"})]

    with pytest.raises(UnavailableError, match=f"Restate answered {status}: one moment"):
        Admin(restate.url).check_health()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (409, {"message": "service type changed", "restate_code": "META0006"}, "409: service type changed"),
        (400, {"message": "not qualified", "restate_code": "META0012"}, "Restate answered 400: not qualified"),
    ],
)
def test_any_other_error_is_final_and_quotes_the_server(
    restate: FakeAdmin, status: int, body: dict[str, str] | str, said: str
) -> None:
    restate.answers_before = [(status, body)]

    with pytest.raises(RefusedError, match=said):
        Admin(restate.url).check_health()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "", "404 (no reason given)"),
        (400, {"message": "bad path: /health"}, "400 (bad path: /health)"),  # Restate's ingress
        (405, "<Error>MethodNotAllowed</Error>", "405 (<Error>MethodNotAllowed</Error>)"),
        (422, '["a list"]', '422 (["a list"])'),
        (400, '{"error": "bad"}', '400 ({"error": "bad"})'),
    ],
)
def test_an_answer_that_is_not_from_the_admin_api_is_final_and_asks_about_the_url(
    restate: FakeAdmin, status: int, body: dict[str, str] | str, said: str
) -> None:
    restate.answers_before = [(status, body)]

    with pytest.raises(RefusedError) as refused:
        Admin(restate.url).check_health()

    sentence = f"{restate.url} answered {said}: is it Restate's admin API, usually on port 9070?"
    assert str(refused.value) == sentence


def test_a_redirect_is_not_followed_because_that_would_send_the_key_elsewhere(restate: FakeAdmin) -> None:
    restate.answers_before = [(302, "")]

    with pytest.raises(RefusedError, match=r"answered 302 .* is it Restate"):
        Admin(restate.url, KEY).check_health()

    assert len(restate.asked) == 1


def test_an_unreachable_server_can_be_retried() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        with pytest.raises(UnavailableError, match=r"cannot be reached .*: check the URL, that Restate is running"):
            Admin(f"http://127.0.0.1:{unused.getsockname()[1]}").check_health()


def test_a_request_times_out_while_there_is_time_to_report_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert REQUEST_SECONDS <= KEPT_BACK_SECONDS / 2, "the other half is for the response to CloudFormation"
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        end = threading.Timer(5, silent.close)  # without a time-out, the test fails instead of hanging
        end.start()
        with pytest.raises(UnavailableError, match="timed out"):
            Admin(f"http://127.0.0.1:{silent.getsockname()[1]}").check_health()
        end.cancel()


def test_a_long_message_is_cut_off(restate: FakeAdmin) -> None:
    """CloudFormation accepts a reason of at most 4 KB."""
    restate.answers_before = [(500, {"message": "x" * 10_000})]

    with pytest.raises(UnavailableError) as unavailable:
        Admin(restate.url).check_health()

    assert str(unavailable.value) == f"Restate answered 500: {'x' * LONGEST_MESSAGE}…"
    assert LONGEST_MESSAGE <= 1_000


def test_an_answer_that_is_not_json_is_an_error(restate: FakeAdmin) -> None:
    restate.answers_before = [(200, "<html>welcome</html>")]

    with pytest.raises(RefusedError, match="is it Restate's admin API"):
        Admin(restate.url).deployments()


def test_a_function_that_cannot_be_invoked_yet_can_be_retried_and_the_error_dump_is_cut_off(restate: FakeAdmin) -> None:
    said = "lambda returned: AccessDeniedException (ServiceError(ServiceError { source: Unhandled, raw: Response }))"
    restate.answers_before = [(500, {"message": said, "restate_code": "META0003"})]

    with pytest.raises(UnavailableError, match=r"check the permissions of its role.*AccessDeniedException$"):
        Admin(restate.url).register(V1, None)


def test_a_failure_of_the_invoked_function_is_final(restate: FakeAdmin) -> None:
    said = "function returned an error during execution: No module named restate"
    restate.answers_before = [(500, {"message": said, "restate_code": "META0003"})]

    with pytest.raises(RefusedError, match="No module named restate"):
        Admin(restate.url).register(V1, None)


def test_removing_killing_or_closing_what_no_longer_exists_is_no_error(restate: FakeAdmin) -> None:
    admin = Admin(restate.url)

    admin.remove("dp_gone")
    admin.kill("inv_over")
    restate.answers_before = [(404, {"message": "not found", "restate_code": "META0005"})]
    admin.close("gone")

    assert restate.asked == [
        "DELETE /deployments/dp_gone?force=true",
        "PATCH /invocations/inv_over/kill",
        "PATCH /services/gone",
    ]


def test_a_failure_to_remove_kill_or_close_is_an_error(restate: FakeAdmin) -> None:
    admin = Admin(restate.url)

    for remove in (admin.remove, admin.kill, admin.close):
        restate.answers_before = [(503, "not now")]
        with pytest.raises(UnavailableError, match="503"):
            remove("it")


def test_the_admin_url_may_have_a_path(restate: FakeAdmin) -> None:
    restate.answers_before = [(200, None)]

    Admin(f"{restate.url}/restate/").check_health()

    assert restate.asked == ["GET /restate/health"]


def test_names_are_escaped_in_paths_and_queries(restate: FakeAdmin) -> None:
    admin = Admin(restate.url)

    for ask in (admin.close, admin.remove, admin.kill):
        ask("re/ports?x=")
    assert [asked.split()[1].split("/")[2] for asked in restate.asked] == [
        "re%2Fports%3Fx%3D",
        "re%2Fports%3Fx%3D?force=true",
        "re%2Fports%3Fx%3D",
    ]

    admin.unfinished(["it's"])
    assert restate.queries == [
        f"SELECT id FROM sys_invocation WHERE status != 'completed' AND ({RUNS_ON} IN ('it''s') OR "
        "(pinned_deployment_id IS NULL AND target_service_name IN (NULL)))"
    ]


def test_a_server_that_does_not_speak_http_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ssh:

        def greet() -> None:
            with ssh.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(UnavailableError, match=r"cannot be reached \(SSH-2.0-OpenSSH"):
            Admin(f"http://127.0.0.1:{ssh.getsockname()[1]}").check_health()
        thread.join()
