"""Registration by real deploys of one small service: what changes with a setting or the code."""

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


def test_a_registration_waits_until_permissions_have_propagated(
    greetings: Greetings, authenticating_proxy: AuthenticatingProxy, secret: str
) -> None:
    # given IAM changes that have not propagated yet, when a stack is deployed
    authenticating_proxy.not_yet = 4
    version = greetings.deploy(adminUrl=authenticating_proxy.url, secret=secret)

    # then the registration was retried until it succeeded
    assert authenticating_proxy.not_yet == 0
    assert routes(greetings.cloud) == {version}


@pytest.mark.in_both_modes
def test_a_service_moves_to_another_admin_url_and_back(greetings: Greetings, elsewhere: LocalCloud) -> None:
    # given the service in one Restate, with work in flight
    cloud = greetings.cloud
    greetings.deploy()
    greetings.wait_for_godot()

    # when it moves to another, then it is there, and nothing of it is running or registered here
    greetings.deploy(adminUrl=elsewhere.admin_url)
    assert greetings.greet(url=elsewhere.ingress_url).json() == "Hello Ann"
    assert addresses(cloud, set()) == set()
    assert eventually(lambda: unfinished(cloud), lambda left: not left) == []

    # and when it moves back and a later resource fails, then it is still there
    greetings.failure(fails="yes")
    assert greetings.greet(url=elsewhere.ingress_url).json() == "Hello Ann"
    assert addresses(cloud, set()) == set()

    # and when it moves back successfully, then it is here and public
    greetings.deploy()
    assert greetings.greet().json() == "Hello Ann"
    assert addresses(elsewhere, set()) == set()


def test_a_new_role_is_used_for_all_versions_that_are_still_needed(greetings: Greetings) -> None:
    # given a version with work in flight, invoked through one role, and a second version
    cloud = greetings.cloud
    first = greetings.deploy(edition("Hello"), role="OneRole")
    greetings.wait_for_godot()
    second = greetings.deploy(edition("Hi"), role="OneRole")
    revision = services(cloud)["greeter"]

    # when the role changes, then both are invoked through the new one (the old one is gone), and nothing else changes
    assert greetings.deploy(edition("Hi"), role="AnotherRole") == second
    assert registered(cloud).keys() == {first, second}
    assert all("AnotherRole" in deployment["assume_role_arn"] for deployment in registered(cloud).values())
    assert services(cloud)["greeter"] == revision


def test_a_service_becomes_private_and_public_with_its_code(greetings: Greetings) -> None:
    # given a public service, when it becomes private, then external callers are refused
    greetings.deploy()
    greetings.deploy(PRIVATE)
    assert greetings.greet().status_code == 400

    # and when a deploy that makes it public again fails, it stays private
    greetings.failure(fails="yes")
    assert greetings.greet().status_code == 400

    # and when that succeeds, it is public
    greetings.deploy()
    assert greetings.greet().json() == "Hello Ann"


@pytest.mark.in_both_modes
def test_a_service_that_the_function_no_longer_offers_is_removed_only_on_request(greetings: Greetings) -> None:
    # given a function with two services, both registered
    assert "offers greeter, porter: list exactly the services" in greetings.failure(WITH_ANOTHER)
    greetings.deploy(WITH_ANOTHER, services="greeter,porter")
    assert services(greetings.cloud).keys() == {"greeter", "porter"}

    # when the function no longer offers the second one, then that is refused
    assert "would lose the service porter" in greetings.failure(edition("Hi"))

    # and when the removal is requested, the service is gone with the previous version
    greetings.deploy(edition("Hi"), breaking="yes")
    latest = greetings.deploy(edition("Hey"))
    assert services(greetings.cloud).keys() == {"greeter"}
    assert routes(greetings.cloud) == {latest}
