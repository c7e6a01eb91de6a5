"""Registration by real deploys of one small service: what is said when it fails, and what moves when a setting does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.cloud import HolidayCloud
from localcloud import invocations
from localcloud.cloud import LocalCloud
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.deploy.gatekeeper import Gatekeeper, guarding
from tests.deploy.greeter import (
    AS_OBJECT,
    BROKEN,
    PRIVATE,
    WITH_ANOTHER,
    WITH_PART,
    Greetings,
    clear,
    edition,
    registered,
)
from tests.deploy.greetings import SERVICE, STACK
from tests.deploy.state import addresses, deployments, routes, services, stacks, unfinished
from tests.deploy.traces import where_it_shows
from tests.driver import eventually, logged

pytestmark = pytest.mark.slow

KEY, NEW_KEY = "key_1abcdefghijklmnop", "key_2qrstuvwxyzabcdef"
IN_A_HURRY = {"timeout": "50"}  # seconds, of which 45 are kept back for the answer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The tests in which the registration looks for unfinished work run with a Restate without VQueues too."""
    if "own_cloud" in metafunc.fixturenames:
        both = metafunc.function in (
            test_destroy_ends_well_where_the_key_is_refused,
            test_destroy_ends_well_while_restate_is_down,
            test_another_admin_url_takes_the_service_along_and_back_again,
            test_a_service_that_is_offered_no_more_is_refused_and_goes_when_that_is_asked_for,
        )
        modes: dict[str, dict[str, str]] = {"with VQueues": {}} | ({"without": WITHOUT_VQUEUES} if both else {})
        metafunc.parametrize("own_cloud", [*modes.values()], ids=[*modes], indirect=True, scope="module")


@pytest.fixture(scope="module")
def own_cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    """In the place of the other modules': with a Restate that has VQueues, and with one that has none."""
    cloud = HolidayCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free())
    cloud.restate_settings = dict(request.param)
    with cloud:
        yield cloud


@pytest.fixture
def greetings(own_cloud: HolidayCloud, tmp_path: Path) -> Greetings:
    """What is deployed is what the test before has left: each test begins with a deploy."""
    return Greetings(own_cloud, tmp_path)


@pytest.fixture
def gatekeeper(own_cloud: HolidayCloud, secret: str, new_secret: str) -> Iterator[Gatekeeper]:
    """In front of Restate, which nothing is registered with, before and after."""
    assert {secret, new_secret}, "they outlive the stack"
    clear(own_cloud)
    with guarding(own_cloud.admin_url, KEY) as gatekeeper:
        yield gatekeeper
        clear(own_cloud)
    assert addresses(own_cloud, set()) == set()


@pytest.fixture
def secret(own_cloud: LocalCloud) -> Iterator[str]:
    """The ARN of a secret that holds the key."""
    yield from kept(own_cloud, KEY)


@pytest.fixture
def new_secret(own_cloud: LocalCloud) -> Iterator[str]:
    """The ARN of another secret, which holds another key."""
    yield from kept(own_cloud, NEW_KEY)


def kept(cloud: LocalCloud, key: str) -> Iterator[str]:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name=f"restate/{key[:5]}", SecretString=key)["ARN"]
    yield arn
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


# What is said


def test_each_mistake_in_the_code_is_one_sentence_and_the_old_code_stays(greetings: Greetings) -> None:
    # given a service with two handlers
    version = greetings.deploy(WITH_PART)

    for service, sentence in {
        SERVICE: "greeter would lose part, which callers may rely on: keep it, or set allow_breaking_changes.",
        AS_OBJECT: "greeter would turn from a Service into a VirtualObject, which callers may rely on: keep it, or set "
        "allow_breaking_changes.",
        BROKEN: "The function fails when Restate asks what it offers: see its log.",
    }.items():
        # when it is deployed with a mistake, then the last lines say which, and the version before is in charge
        assert sentence in greetings.failure(service)
        assert routes(greetings.cloud) == {version}
        assert greetings.greet().json() == "Hello Ann"


def test_a_breaking_change_that_is_asked_for_is_made_and_can_be_rolled_back(greetings: Greetings) -> None:
    # given a service with two handlers
    greetings.deploy(WITH_PART)

    # when it becomes an object, loses a handler, and a resource behind it fails
    assert "this one always fails" in greetings.failure(AS_OBJECT, breaking="yes", fails="yes")
    # then it is what it was
    assert greetings.greet().json() == "Hello Ann"

    # and without that failure, it is an object
    version = greetings.deploy(AS_OBJECT, breaking="yes")
    assert routes(greetings.cloud) == {version}
    assert greetings.greet().status_code == 400


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://restate.invalid:9070", "at http://restate.invalid:9070 cannot be reached ([Errno -2] Name or service"),
        ("http://127.0.0.1:{ingress}", "is it Restate's admin API, usually at port 9070?"),
    ],
)
def test_a_wrong_url_is_named(greetings: Greetings, url: str, sentence: str) -> None:
    url = url.format(ingress=greetings.cloud.ports.ingress)

    said = greetings.failure(adminUrl=url, **IN_A_HURRY)

    assert sentence in said
    assert url in said


def test_a_restate_that_is_down_is_waited_for_and_then_named(greetings: Greetings) -> None:
    # given no stack and a Restate that is down, when one is deployed
    clear(greetings.cloud)
    greetings.cloud.kill_restate()
    try:
        said = greetings.failure(**IN_A_HURRY)
    finally:
        greetings.cloud.restart_restate()

    # then the last lines say what was waited for, how long, and what to look at
    assert f"Gave up after 5 seconds: Restate's admin API at {greetings.cloud.admin_url} cannot be reached" in said
    assert "is the URL right, and is Restate up and open to this function?" in said


# The key


def test_a_rejected_key_fails_at_once_and_no_message_and_no_log_shows_it(
    greetings: Greetings, gatekeeper: Gatekeeper, new_secret: str
) -> None:
    # given a Restate that wants a key, when a stack is deployed with another
    said = greetings.failure(adminUrl=gatekeeper.url, secret=new_secret)

    # then it was asked once, and the last lines say what to do
    assert gatekeeper.refused == 1
    assert "rejected the API key (401: who is Bearer ***?): check that the secret holds a valid one" in said

    # and the key, which the server repeats, is nowhere
    assert where_it_shows(greetings.cloud, NEW_KEY, "***") == []


def test_the_key_is_sent_with_every_request_and_read_again_after_it_was_rotated(
    greetings: Greetings, gatekeeper: Gatekeeper, secret: str
) -> None:
    # given a stack that is introduced with the key
    settings = {"adminUrl": gatekeeper.url, "secret": secret}
    greetings.deploy(edition("Hello"), **settings)

    # when the key is rotated, and the stack updated, moved to a second version, rolled back and destroyed
    gatekeeper.key = NEW_KEY
    greetings.cloud.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=NEW_KEY)
    greetings.deploy(edition("Hi"), **settings)
    greetings.failure(edition("Hey"), fails="yes", **settings)
    assert greetings.greet().json() == "Hi Ann"
    greetings.cloud.destroy(STACK)

    # then no request was without the key of its time, and neither key is anywhere
    assert deployments(greetings.cloud) == {}
    assert {request.split()[0] for request in gatekeeper.asked} == {"GET", "POST", "PATCH", "DELETE"}
    assert gatekeeper.refused == 0
    assert where_it_shows(greetings.cloud, KEY, gatekeeper.url) == []
    assert where_it_shows(greetings.cloud, NEW_KEY, gatekeeper.url) == []


def test_another_secret_is_read_from_then_on_and_the_old_one_no_more(
    greetings: Greetings, gatekeeper: Gatekeeper, secret: str, new_secret: str
) -> None:
    # given a stack that was introduced with one key, when another secret with another key takes its place
    greetings.deploy(adminUrl=gatekeeper.url, secret=secret)
    gatekeeper.key = NEW_KEY
    greetings.deploy(adminUrl=gatekeeper.url, secret=new_secret)

    # then it was accepted, and the registration function may read that one only
    assert gatekeeper.refused == 0
    iam = greetings.cloud.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"] if "DeployerRole" in role["RoleName"]]
    names = [(role, name) for role in roles for name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
    documents = str([iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for role, name in names])
    assert new_secret in documents
    assert secret not in documents


def test_destroy_ends_well_where_the_key_is_refused(greetings: Greetings, gatekeeper: Gatekeeper, secret: str) -> None:
    # given a stack whose key is no longer accepted, and work in flight
    greetings.deploy(adminUrl=gatekeeper.url, secret=secret)
    greetings.wait_for_godot()
    gatekeeper.key = "revoked"

    # when it is destroyed, then it is gone, and the log says what is left in Restate
    greetings.cloud.destroy(STACK)
    assert "left in Restate, to be removed by hand" in str(logged(greetings.cloud))
    assert services(greetings.cloud).keys() == {"greeter"}

    # and what is left can be removed by hand
    remove_by_hand(greetings.cloud)
    assert eventually(lambda: unfinished(greetings.cloud), lambda left: not left) == []


def test_destroy_ends_well_while_restate_is_down(greetings: Greetings) -> None:
    # given a stack with work in flight, and a Restate that is gone
    greetings.deploy()
    greetings.wait_for_godot()
    greetings.cloud.kill_restate()

    # when it is destroyed, then it is gone, and the log says what is left in Restate
    greetings.cloud.destroy(STACK)
    assert STACK not in stacks(greetings.cloud)
    assert "left in Restate, to be removed by hand" in str(logged(greetings.cloud))

    # and what is left can be removed by hand
    greetings.cloud.restart_restate()
    known = eventually(lambda: set(services(greetings.cloud)), lambda found: found == {"greeter"})
    assert known == {"greeter"}, "a moment after its start, Restate knows nothing yet"
    assert eventually(lambda: unfinished(greetings.cloud), bool), "nor what is unfinished"
    remove_by_hand(greetings.cloud)
    assert eventually(lambda: unfinished(greetings.cloud), lambda left: not left) == []


def test_a_permission_that_is_not_known_everywhere_yet_is_ridden_out(
    greetings: Greetings, gatekeeper: Gatekeeper, secret: str
) -> None:
    # given a Restate whose role is not known everywhere yet, when a stack is deployed
    gatekeeper.not_yet = 4
    version = greetings.deploy(adminUrl=gatekeeper.url, secret=secret)

    # then it was asked until it was
    assert gatekeeper.not_yet == 0
    assert routes(greetings.cloud) == {version}


def remove_by_hand(cloud: LocalCloud) -> None:
    """As an operator would, with the key, or past what demands one."""
    for invocation in cloud.admin.query(invocations.unfinished(columns="id")):
        cloud.admin.operate("kill", invocation["id"])
    for deployment in deployments(cloud):
        cloud.admin.remove(deployment)


# Moves


def test_another_admin_url_takes_the_service_along_and_back_again(greetings: Greetings, elsewhere: LocalCloud) -> None:
    # given the service in one Restate, with work in flight
    cloud = greetings.cloud
    greetings.deploy()
    greetings.wait_for_godot()

    # when it moves to another, then it is there, and here is nothing of it, running or registered
    greetings.deploy(adminUrl=elsewhere.admin_url)
    assert greetings.greet(url=elsewhere.ingress_url).json() == "Hello Ann"
    assert addresses(cloud, set()) == set()
    assert eventually(lambda: unfinished(cloud), lambda left: not left) == []

    # and when it moves back, for a moment only, because a resource behind it fails, then it is still there
    greetings.failure(fails="yes")
    assert greetings.greet(url=elsewhere.ingress_url).json() == "Hello Ann"
    assert addresses(cloud, set()) == set()

    # and when it moves back for good, then it is here, and open to callers
    greetings.deploy()
    assert greetings.greet().json() == "Hello Ann"
    assert addresses(elsewhere, set()) == set()


def test_another_role_is_used_for_all_versions_that_are_still_needed(greetings: Greetings) -> None:
    # given a version with work in flight, invoked through one role, and a second version
    cloud = greetings.cloud
    first = greetings.deploy(edition("Hello"), role="OneRole")
    greetings.wait_for_godot()
    second = greetings.deploy(edition("Hi"), role="OneRole")
    revision = services(cloud)["greeter"]

    # when the role changes, then both are invoked through the new one: the old one is gone. Nothing else changed.
    assert greetings.deploy(edition("Hi"), role="AnotherRole") == second
    assert registered(cloud).keys() == {first, second}
    assert all("AnotherRole" in deployment["assume_role_arn"] for deployment in registered(cloud).values())
    assert services(cloud)["greeter"] == revision


def test_a_service_becomes_private_and_public_with_its_code(greetings: Greetings) -> None:
    # given a public service, when it becomes private, then callers from outside are refused
    greetings.deploy()
    greetings.deploy(PRIVATE)
    assert greetings.greet().status_code == 400

    # and when it is to be public again and that fails, it stays private
    greetings.failure(fails="yes")
    assert greetings.greet().status_code == 400

    # and when that goes well, it is public
    greetings.deploy()
    assert greetings.greet().json() == "Hello Ann"


def test_a_service_that_is_offered_no_more_is_refused_and_goes_when_that_is_asked_for(greetings: Greetings) -> None:
    # given a function of two services, which are both named
    assert "offers greeter, porter: name all services" in greetings.failure(WITH_ANOTHER)
    greetings.deploy(WITH_ANOTHER, services="greeter,porter")
    assert services(greetings.cloud).keys() == {"greeter", "porter"}

    # when the second is offered no more, then that is refused
    assert "would lose the service porter" in greetings.failure(edition("Hi"))

    # and when it is asked for, the service goes with the version before the latest
    greetings.deploy(edition("Hi"), breaking="yes")
    latest = greetings.deploy(edition("Hey"))
    assert services(greetings.cloud).keys() == {"greeter"}
    assert routes(greetings.cloud) == {latest}
