"""Deploys the app of one service (greetings.py) for the registration tests, in different editions."""

from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError
from tests.deploy.greetings import APP, SERVICE, STACK, written
from tests.deploy.state import stacks, unfinished
from tests.driver import eventually

PART = '@greeter.handler()\nasync def part(ctx: restate.Context, name: str) -> str:\n    return f"Bye {name}"\n\n\n'
WITH_PART = SERVICE.replace("handler = ", PART + "handler = ")
AS_OBJECT = SERVICE.replace("restate.Service(", "restate.VirtualObject(").replace(".Context", ".ObjectContext")
PRIVATE = SERVICE.replace('Service("greeter"', 'Service("greeter", ingress_private=True')
BROKEN = "import nothing_like_it\n"
WITH_ANOTHER = SERVICE.replace("[greeter]", '[greeter, restate.Service("porter")]')


class Greetings:
    """The stack of greetings.py in a cloud. Each edition of the service is new code and so a new version."""

    def __init__(self, cloud: HolidayCloud, folder: Path) -> None:
        self.cloud = cloud
        self._folders = (folder / str(number) for number in count())

    def deploy(self, service: str = SERVICE, **context: str) -> str:
        """Deploy. Returns the ARN of the published version."""
        outputs = self.cloud.deploy(written(next(self._folders), service) | context, APP, STACK)
        return outputs["GreeterVersionArn"]

    def failure(self, service: str = SERVICE, **context: str) -> str:
        """Deploy, which must fail. Returns cdk's last lines, unwrapped."""
        with pytest.raises(LocalCloudError) as failure:
            self.deploy(service, **context)
        return " ".join(str(failure.value).split())

    def greet(self, name: str = "Ann", url: str | None = None) -> httpx.Response:
        address = f"{url or self.cloud.ingress_url}/greeter/greet"
        return httpx.post(address, json=name, timeout=60, trust_env=False)

    def wait_for_godot(self) -> None:
        """Start an invocation that does not end, and wait until it is pinned to the latest version."""
        address = f"{self.cloud.ingress_url}/greeter/greet/send"
        httpx.post(address, json="Godot", timeout=60, trust_env=False).raise_for_status()
        assert eventually(lambda: unfinished(self.cloud), lambda left: left == ["greeter/greet suspended"])


def clear(cloud: HolidayCloud) -> None:
    """Destroy the stack if the previous test has left one."""
    if STACK in stacks(cloud):
        cloud.destroy(STACK)


def edition(word: str) -> str:
    return SERVICE.replace("Hello", word)


def registered(cloud: LocalCloud) -> dict[str, dict[str, Any]]:
    """Restate's deployments, by ARN."""
    return {deployment["arn"]: deployment for deployment in cloud.admin.deployments()}
