"""A local cloud with the holiday's stack in it, and the services and tables in that stack's outputs."""

import json
import shlex
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from holiday_stack import environments
from holiday_stack.settings import NAMES
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError
from localcloud.stacks import CdkApp

STACK = "HolidayStack"
APP = f"{shlex.quote(sys.executable)} app.py"  # cdk.json names .venv's Python, but an editor may run another


class HolidayCloud(LocalCloud):
    """The cloud that the holiday's commands and tests run on."""

    def deploy(self, context: Mapping[str, str] | None = None, app: str = APP, stack: str = STACK) -> dict[str, str]:
        """`cdk deploy` the holiday's stack, registered with this cloud's Restate, and return its outputs.

        No file in environments/ is read, whatever cdk.json says.

        Args:
            context: settings that add to or replace the defaults.
            app: the command of a variant of this checkout's app.
            stack: the name of that app's stack.

        Raises:
            LocalCloudError: cdk failed, and the message is cdk's; or cdk.json or cdk.context.json has settings.
        """
        settings = {"environment": environments.NONE, "bundleFor": "host", "disposable": "true", **(context or {})}
        refuse_settings(ROOT, {*settings, "adminUrl", "ingressUrl"})
        return self._deploy(CdkApp(stack, app), [stack], settings).get(stack, {})

    def destroy(self, stack: str = STACK) -> None:
        """`cdk destroy` the stack, as the last deploy synthesized it."""
        self._destroy(CdkApp(stack, APP), [stack])

    def outputs(self, stack: str = STACK) -> dict[str, str]:
        """The outputs of the stack; empty if it is not deployed."""
        return super().outputs(stack)

    def versions(self) -> dict[str, str]:
        """Each service's function version: {"trips": its ARN, "flights": …}."""
        return named(self.outputs(), "VersionArn")

    def tables(self) -> dict[str, str]:
        """Each kind of booking's table: {"flight": its name, "car": …}."""
        return {service.removesuffix("s"): table for service, table in named(self.outputs(), "TableName").items()}


def refuse_settings(folder: Path, overridden: Collection[str]) -> None:
    """Check that cdk's own files in this folder set nothing else: the local cloud's stack would get it too.

    Raises:
        LocalCloudError: One does, such as a prefix, with which the stack would have another name.
    """
    for name in ("cdk.json", "cdk.context.json"):
        with suppress(OSError, ValueError, AttributeError):  # none, or not valid, which cdk says
            file = json.loads((folder / name).read_text())
            context = file.get("context", {}) if name == "cdk.json" else file
            if found := [setting for setting in context if setting in NAMES and setting not in overridden]:
                raise LocalCloudError(
                    f"{name} sets {', '.join(found)}, which the local cloud would read too: move it to "
                    "environments/<name>.toml (docs/settings.md)."
                )


def named(outputs: Mapping[str, str], ending: str) -> dict[str, str]:
    """The outputs whose names have this ending, by service: `CarsTableName` belongs to `cars`."""
    return {name.removesuffix(ending).lower(): value for name, value in outputs.items() if name.endswith(ending)}
