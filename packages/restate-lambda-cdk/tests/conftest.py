"""Shared fixtures: for the handler, a fake of Restate and a deadline that takes no real time; for the constructs, a
stack with a deployer."""

from collections.abc import Iterator

import pytest
from aws_cdk import Stack

from events import V1, V2, V3, Clock
from fake_admin import FakeAdmin, served
from registration.deadline import Deadline
from restate_lambda_cdk import ServiceDeployer
from stacks import app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deadline(clock: Clock) -> Deadline:
    """Five minutes."""
    return Deadline(300, lambda: clock.now, clock.sleep)


@pytest.fixture
def restate() -> Iterator[FakeAdmin]:
    """A Restate without deployments, and three versions of a function that each offer trips.reserve."""
    with served(FakeAdmin(offers={version: {"trips": ["reserve"]} for version in (V1, V2, V3)})) as fake:
        yield fake


@pytest.fixture
def stack() -> Stack:
    return Stack(app(), "Stack")


@pytest.fixture
def deployer(stack: Stack) -> ServiceDeployer:
    return ServiceDeployer(stack, "Deployer")
