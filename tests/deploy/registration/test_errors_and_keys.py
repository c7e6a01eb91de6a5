"""Registration by real deploys of one small service: its errors, and which API key it uses."""

import pytest

from localcloud import invocations
from localcloud.cloud import LocalCloud
from tests.deploy.authenticating_proxy import KEY, OTHER_KEY, AuthenticatingProxy
from tests.deploy.greeter import (
    AS_OBJECT,
    BROKEN,
    WITH_PART,
    Greetings,
    clear,
    edition,
)
from tests.deploy.greetings import SERVICE, STACK
from tests.deploy.leaks import where_it_shows
from tests.deploy.state import deployments, routes, services, stacks, unfinished
from tests.driver import eventually, logged

pytestmark = pytest.mark.slow

IN_A_HURRY = {"timeout": "50"}  # seconds, of which 45 are reserved for the answer


def test_each_mistake_in_the_code_is_reported_in_one_sentence_and_the_old_code_stays(greetings: Greetings) -> None:
    # given a service with two handlers
    version = greetings.deploy(WITH_PART)

    for service, sentence in {
        SERVICE: "greeter would lose part, which callers may rely on: keep it, or set allow_breaking_changes.",
        AS_OBJECT: "greeter would change from a Service to a VirtualObject, which callers may rely on: keep it, or set "
        "allow_breaking_changes.",
        BROKEN: "The function failed during service discovery: see its log.",
    }.items():
        # when it is deployed with a mistake, then the last lines name it, and the previous version still serves
        assert sentence in greetings.failure(service)
        assert routes(greetings.cloud) == {version}
        assert greetings.greet().json() == "Hello Ann"


def test_a_requested_breaking_change_is_made_and_can_be_rolled_back(greetings: Greetings) -> None:
    # given a service with two handlers
    greetings.deploy(WITH_PART)

    # when it becomes an object and loses a handler, and a later resource fails
    assert "this one always fails" in greetings.failure(AS_OBJECT, breaking="yes", fails="yes")
    # then it is unchanged
    assert greetings.greet().json() == "Hello Ann"

    # and without that failure, it becomes an object
    version = greetings.deploy(AS_OBJECT, breaking="yes")
    assert routes(greetings.cloud) == {version}
    assert greetings.greet().status_code == 400


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://restate.invalid:9070", "at http://restate.invalid:9070 cannot be reached ([Errno -2] Name or service"),
        ("http://127.0.0.1:{ingress}", "is it Restate's admin API, usually on port 9070?"),
    ],
)
def test_a_wrong_url_is_reported(greetings: Greetings, url: str, sentence: str) -> None:
    url = url.format(ingress=greetings.cloud.ports.ingress)

    said = greetings.failure(adminUrl=url, **IN_A_HURRY)

    assert sentence in said
    assert url in said


def test_a_deploy_waits_for_a_restate_that_is_down_and_then_reports_it(greetings: Greetings) -> None:
    # given no stack and a Restate that is down, when one is deployed
    clear(greetings.cloud)
    greetings.cloud.kill_restate()
    try:
        said = greetings.failure(**IN_A_HURRY)
    finally:
        greetings.cloud.restart_restate()

    # then the last lines say what was waited for, for how long, and what to check
    assert f"Timed out after 5 seconds: Restate's admin API at {greetings.cloud.admin_url} cannot be reached" in said
    assert "check the URL, that Restate is running, and that this function can reach it." in said


def test_a_rejected_key_fails_at_once_and_appears_in_no_message_or_log(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, new_secret: str
) -> None:
    # given a Restate that requires a key, when a stack is deployed with another one
    said = greetings.failure(adminUrl=authenticating_proxy.url, secret=new_secret)

    # then there was one request, and the last lines say what to do
    assert authenticating_proxy.refused == 1
    assert "rejected the API key (401: who is Bearer ***?): check that the secret holds a valid one" in said

    # and the key, which the server repeats, is in no log or message
    assert where_it_shows(greetings.cloud, OTHER_KEY, "***") == []


def test_the_key_is_sent_with_every_request_and_read_again_after_a_rotation(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, secret: str
) -> None:
    # given a stack that is registered with the key
    settings = {"adminUrl": authenticating_proxy.url, "secret": secret}
    greetings.deploy(edition("Hello"), **settings)

    # when the key is rotated, and the stack updated, moved to a second version, rolled back and destroyed
    authenticating_proxy.key = OTHER_KEY
    greetings.cloud.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=OTHER_KEY)
    greetings.deploy(edition("Hi"), **settings)
    greetings.failure(edition("Hey"), fails="yes", **settings)
    assert greetings.greet().json() == "Hi Ann"
    greetings.cloud.destroy(STACK)

    # then every request had the key of that time, and neither key is in any log
    assert deployments(greetings.cloud) == {}
    assert {request.split()[0] for request in authenticating_proxy.asked} == {"GET", "POST", "PATCH", "DELETE"}
    assert authenticating_proxy.refused == 0
    assert where_it_shows(greetings.cloud, KEY, authenticating_proxy.url) == []
    assert where_it_shows(greetings.cloud, OTHER_KEY, authenticating_proxy.url) == []


def test_a_new_secret_replaces_the_old_one(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, secret: str, new_secret: str
) -> None:
    # given a stack that was registered with one key, when it gets another secret with another key
    greetings.deploy(adminUrl=authenticating_proxy.url, secret=secret)
    authenticating_proxy.key = OTHER_KEY
    greetings.deploy(adminUrl=authenticating_proxy.url, secret=new_secret)

    # then the new key was accepted, and the registration function may read only the new secret
    assert authenticating_proxy.refused == 0
    iam = greetings.cloud.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"] if "DeployerRole" in role["RoleName"]]
    names = [(role, name) for role in roles for name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
    documents = str([iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for role, name in names])
    assert new_secret in documents
    assert secret not in documents


@pytest.mark.in_both_modes
def test_destroy_succeeds_although_the_key_is_rejected(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, secret: str
) -> None:
    # given a stack whose key is no longer accepted, with work in flight
    greetings.deploy(adminUrl=authenticating_proxy.url, secret=secret)
    greetings.wait_for_godot()
    authenticating_proxy.key = "revoked"

    # when it is destroyed, then it is gone, and the log lists what is left in Restate
    greetings.cloud.destroy(STACK)
    assert "left in Restate, to be removed by hand" in str(logged(greetings.cloud))
    assert services(greetings.cloud).keys() == {"greeter"}

    # and what is left can be removed by hand
    remove_by_hand(greetings.cloud)
    assert eventually(lambda: unfinished(greetings.cloud), lambda left: not left) == []


@pytest.mark.in_both_modes
def test_destroy_succeeds_while_restate_is_down(greetings: Greetings) -> None:
    # given a stack with work in flight, and a Restate that is down
    greetings.deploy()
    greetings.wait_for_godot()
    greetings.cloud.kill_restate()

    # when it is destroyed, then it is gone, and the log lists what is left in Restate
    greetings.cloud.destroy(STACK)
    assert STACK not in stacks(greetings.cloud)
    assert "left in Restate, to be removed by hand" in str(logged(greetings.cloud))

    # and what is left can be removed by hand
    greetings.cloud.restart_restate()
    known = eventually(lambda: set(services(greetings.cloud)), lambda found: found == {"greeter"})
    assert known == {"greeter"}, "for a moment after its start, Restate lists no deployments"
    assert eventually(lambda: unfinished(greetings.cloud), bool), (
        "for a moment after its start, Restate lists no invocations"
    )
    remove_by_hand(greetings.cloud)
    assert eventually(lambda: unfinished(greetings.cloud), lambda left: not left) == []


def remove_by_hand(cloud: LocalCloud) -> None:
    """Remove it as an operator would, with the key or without the proxy that requires it."""
    for invocation in cloud.admin.query(invocations.unfinished(columns="id")):
        cloud.admin.operate("kill", invocation["id"])
    for deployment in deployments(cloud):
        cloud.admin.remove(deployment)
