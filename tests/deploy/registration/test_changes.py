"""Registration by real deploys of one small service: what moves when a setting or the code does."""

import pytest

from localcloud.cloud import LocalCloud
from tests.deploy.authenticating_proxy import AuthenticatingProxy
from tests.deploy.greeter import (
    PRIVATE,
    WITH_ANOTHER,
    Greetings,
    edition,
    registered,
)
from tests.deploy.state import addresses, routes, services, unfinished
from tests.driver import eventually

pytestmark = pytest.mark.slow


def test_a_permission_that_is_not_known_everywhere_yet_is_ridden_out(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, secret: str
) -> None:
    # given a Restate whose role is not known everywhere yet, when a stack is deployed
    authenticating_proxy.not_yet = 4
    version = greetings.deploy(adminUrl=authenticating_proxy.url, secret=secret)

    # then it was asked until it was
    assert authenticating_proxy.not_yet == 0
    assert routes(greetings.cloud) == {version}


@pytest.mark.in_both_modes
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


@pytest.mark.in_both_modes
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
