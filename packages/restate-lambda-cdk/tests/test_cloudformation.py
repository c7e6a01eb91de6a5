"""The custom resource: what each of CloudFormation's events does in Restate."""

import pytest

from events import FUNCTION, ROLE, V1, V2, V3, Clock, event
from fake_admin import FakeAdmin, served
from registration import cloudformation
from registration.api_key import Secret
from registration.cloudformation import failure_of
from registration.deadline import Deadline
from registration.removing import UNREACHABLE_SECONDS


def test_an_update_moves_new_work_to_the_new_version_and_keeps_the_previous_one(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    first = event("Create", restate, V1)
    second = event("Update", restate, V2, old=first)
    third = event("Update", restate, V3, old=second)

    assert [failure_of(each, deadline) for each in (first, second, third)] == [None] * 3

    assert restate.latest("trips") == V3
    assert restate.arns() == {V2, V3}, "V1 is drained; a rollback may need V2"


def test_a_rollback_promotes_the_old_version(restate: FakeAdmin, deadline: Deadline) -> None:
    first, second = event("Create", restate, V1), event("Create", restate, V2)
    failure_of(first, deadline)
    failure_of(event("Update", restate, V2, old=first), deadline)

    assert failure_of(event("Update", restate, V1, old=second), deadline) is None

    assert restate.latest("trips") == V1


def test_work_pinned_to_an_old_version_keeps_it_registered(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    (pinned,) = restate.known
    restate.unfinished["inv_1"] = pinned
    second = event("Update", restate, V2, old=first)
    failure_of(second, deadline)

    failure_of(event("Update", restate, V3, old=second), deadline)

    assert restate.arns() == {V1, V2, V3}
    assert not restate.killed


def test_a_first_registration_that_fails_leaves_nothing_behind(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_latest(*_: object) -> None:
        raise cloudformation.AdminError("not the latest")

    monkeypatch.setattr("registration.registering.check_latest", never_latest)

    assert failure_of(event("Create", restate, V1), deadline) == "not the latest"

    assert not restate.known


def test_a_failed_create_leaves_the_function_s_other_registration_alone(restate: FakeAdmin, deadline: Deadline) -> None:
    """CloudFormation creates a renamed registration while the previous one still exists."""
    failure_of(event("Create", restate, V1), deadline)
    restate.offers[V2] = {}

    assert "expected to offer trips" in str(failure_of(event("Create", restate, V2), deadline))

    assert restate.latest("trips") == V1


@pytest.mark.parametrize("lost", [False, True])
def test_an_update_that_fails_kills_nothing(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Trips may already run on the new version. The rollback that follows sends new ones to the old version."""
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    second = event("Update", restate, V2, old=first)
    if lost:
        restate.known.clear()

    def never_latest(*_: object) -> None:
        raise cloudformation.AdminError("not the latest")

    monkeypatch.setattr("registration.registering.check_latest", never_latest)

    assert failure_of(second, deadline) == "not the latest"

    assert restate.arns() == ({V2} if lost else {V1, V2})


def test_a_delete_deregisters_the_function(restate: FakeAdmin, deadline: Deadline) -> None:
    failure_of(event("Create", restate, V1), deadline)

    assert failure_of(event("Delete", restate, V1), deadline) is None

    assert not restate.known


@pytest.mark.parametrize("answer", [(401, "who are you"), (503, "down"), (200, "<html>not Restate</html>")])
def test_a_delete_never_fails_and_logs_what_is_left(
    restate: FakeAdmin, deadline: Deadline, answer: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    failure_of(event("Create", restate, V1), deadline)
    restate.answers_before = [answer] * 1000

    assert failure_of(event("Delete", restate, V1), deadline) is None

    assert f"left in Restate, to be removed by hand: versions of {V1}" in caplog.text


def test_a_delete_ends_in_time_if_restate_goes_down_during_it(
    restate: FakeAdmin, deadline: Deadline, clock: Clock
) -> None:
    failure_of(event("Create", restate, V1), deadline)
    restate.answers_before = [restate.answer("GET", "/deployments", {}, None), *[(503, "down")] * 1000]

    assert failure_of(event("Delete", restate, V1, DrainSeconds="30"), deadline) is None

    assert clock.now <= 30 + cloudformation.CLEANING_SECONDS <= 60


def test_a_delete_does_not_fail_even_if_the_event_is_invalid(deadline: Deadline) -> None:
    assert failure_of({"RequestType": "Delete", "ResourceProperties": {}}, deadline) is None


def test_another_admin_url_moves_the_registration(restate: FakeAdmin, deadline: Deadline) -> None:
    with served(FakeAdmin(offers=restate.offers)) as new_server:
        first = event("Create", restate, V1)
        failure_of(first, deadline)

        assert failure_of(event("Update", new_server, V1, old=first), deadline) is None

        assert new_server.latest("trips") == V1
        assert not restate.known


def test_another_url_of_the_same_server_removes_nothing(restate: FakeAdmin, deadline: Deadline) -> None:
    first = event("Create", restate, V1, AdminUrl=restate.url.replace("127.0.0.1", "localhost"))
    failure_of(first, deadline)

    failure_of(event("Update", restate, V1, old=first), deadline)

    assert restate.latest("trips") == V1


def test_an_unreachable_old_server_neither_fails_nor_delays_the_move(
    restate: FakeAdmin, deadline: Deadline, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with served(FakeAdmin(offers=restate.offers)) as old_server:
        first = event("Create", old_server, V1)
        failure_of(first, deadline)

    assert failure_of(event("Update", restate, V1, old=first), deadline) is None

    assert restate.latest("trips") == V1
    assert "stale deployments may be left" in caplog.text
    assert clock.now <= UNREACHABLE_SECONDS


def test_another_function_for_the_service_replaces_the_first(restate: FakeAdmin, deadline: Deadline) -> None:
    other = V1.replace(":trips:", ":trips-renamed:")
    restate.offers[other] = {"trips": ["reserve"]}
    first = event("Create", restate, V1)
    failure_of(first, deadline)

    failure_of(event("Update", restate, other, old=first), deadline)

    assert restate.arns() == {other}


def test_the_key_is_read_again_for_every_event(
    restate: FakeAdmin, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"arn:secret": "before"}

    def read(secret: Secret, _: Deadline) -> str:
        return keys[secret.arn]

    monkeypatch.setattr(cloudformation, "read_api_key", read)
    first = event("Create", restate, V1, AuthTokenSecretArn="arn:secret")
    restate.api_key = "before"
    assert failure_of(first, deadline) is None

    restate.api_key = keys["arn:secret"] = "rotated"

    assert failure_of(event("Update", restate, V2, old=first, AuthTokenSecretArn="arn:secret"), deadline) is None
    assert set(restate.keys) == {"Bearer before", "Bearer rotated"}


def test_the_role_and_allow_breaking_changes_come_from_the_properties(restate: FakeAdmin, deadline: Deadline) -> None:
    restate.offers[V1] = {"trips": ["reserve", "cancel"]}
    first = event("Create", restate, V1)
    failure_of(first, deadline)

    failure = failure_of(
        event("Update", restate, V2, old=first, InvokerRoleArn=ROLE, AllowBreakingChanges="true"), deadline
    )

    assert failure is None
    assert {known.arn: known.role for known in restate.known.values()} == {V1: ROLE, V2: ROLE}


def test_time_is_kept_back_for_the_response(restate: FakeAdmin, clock: Clock) -> None:
    restate.answers_before = [(503, "down")] * 1000
    all_but_the_response = Deadline(300 - cloudformation.KEPT_BACK_SECONDS, lambda: clock.now, clock.sleep)

    failure = failure_of(event("Create", restate, V1), all_but_the_response)

    assert failure == "Timed out after 255 seconds: Restate answered 503: down"
    assert clock.now <= 255


@pytest.mark.parametrize("arn", [f"{FUNCTION}:live", f"{FUNCTION}:$LATEST", FUNCTION, f"{FUNCTION}-7"])
def test_only_a_published_version_is_registered(restate: FakeAdmin, deadline: Deadline, arn: str) -> None:
    """An ARN that was a token at synth is first seen here."""
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    restate.offers[arn] = {"trips": ["reserve"]}
    restate.asked.clear()
    refused = f"{arn} is not a published version of a function: pass one, such as current_version."

    assert failure_of(event("Create", restate, arn), deadline) == refused
    assert failure_of(event("Update", restate, arn, old=first), deadline) == refused
    assert restate.asked == []

    assert failure_of(event("Delete", restate, arn), deadline) is None, "as CloudFormation does after a failed Create"
    assert failure_of(event("Update", restate, V1, old=event("Create", restate, arn)), deadline) is None, "rolled back"
    assert restate.arns() == {V1}
    restate.known.clear()
    assert failure_of(event("Update", restate, V1, old=event("Create", restate, arn)), deadline) is None, "and lost"
    assert restate.arns() == {V1}


def test_rolling_back_a_rejected_alias_of_another_function_leaves_that_function_alone(
    restate: FakeAdmin, deadline: Deadline
) -> None:
    other = f"{FUNCTION}-reports"
    restate.offers[f"{other}:1"] = {"reports": ["list"]}
    first = event("Create", restate, V1)
    failure_of(first, deadline)
    failure_of(event("Create", restate, f"{other}:1", ServiceNames=["reports"]), deadline)
    refused = event("Update", restate, f"{other}:live", old=first)
    failure_of(refused, deadline)

    assert failure_of(event("Update", restate, V1, old=refused), deadline) is None

    assert restate.arns() == {V1, f"{other}:1"}
