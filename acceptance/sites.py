"""Where an acceptance runs, and how its stack is deployed and removed: in a local cloud of its own, or on AWS.

The name of everything that a run creates begins with the run's name, so the clean-up does not depend on how far the run
got: it removes what it finds by name.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from botocore.exceptions import ClientError

from demo.cloud import HolidayCloud
from holiday_stack import environments
from holiday_stack.settings import Settings
from localcloud import stacks
from localcloud.admin import Admin
from localcloud.clients import Clients
from localcloud.deploy import cdk
from localcloud.environment import ROOT, LocalCloudError, assert_local
from localcloud.terminal import step

APP = f"{shlex.quote(sys.executable)} -m acceptance.app"


class Site:
    """A Restate, an AWS, and the one stack of this run. `settings` configure the stack; `folder` has the logs."""

    key: str | None = None
    wait = 0

    def __init__(
        self,
        name: str,
        ingress_url: str,
        admin_url: str,
        client: Clients,
        settings: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.name, self.ingress_url, self.admin_url, self.client = name, ingress_url, admin_url, client
        self.admin = Admin(admin_url, self.key)
        # For this run alone: no file in environments/ is read, whatever cdk.json says.
        self.settings = {"environment": environments.NONE, "prefix": name, "disposable": "true", **settings}
        self.stack = Settings(prefix=name).stack_name
        self.lambdas = Path(self.settings.get("acceptance:lambdas", ROOT / "lambdas"))
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """The environment variables of the CDK CLI."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Create what the stack needs."""
        raise NotImplementedError

    def clean_up(self) -> list[str]:
        """Remove everything that this run created.

        Returns:
            A line for each thing that is left: what, why, and how to remove it.
        """
        raise NotImplementedError

    def deploy(self, lambdas: Path) -> dict[str, str]:
        """`cdk deploy`, with these Lambda sources; returns the outputs. Raises LocalCloudError with cdk's error."""
        outputs = self.folder / "outputs.json"
        outputs.unlink(missing_ok=True)
        settings = self.settings | {"acceptance:lambdas": str(lambdas)}
        self._cdk(stacks.deploy_arguments(APP, [self.stack], settings, self.folder / "cdk.out", outputs))
        return json.loads(outputs.read_text())[self.stack]

    def destroy(self) -> None:
        """`cdk destroy` what was deployed last."""
        self._cdk(["destroy", self.stack, "--force", "--app", str(self.folder / "cdk.out")])

    def services(self) -> dict[str, tuple[str, int]]:
        """Every registered service, by name: the id of its latest deployment, and its revision.

        Raises:
            LocalCloudError: Restate's admin API cannot be used. The message never contains the key.
        """
        try:
            services = self.admin.services()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            what = "rejected the API key" if status in (401, 403) else "is not Restate's admin API"
            raise LocalCloudError(f"{self.admin_url} {what} ({status}).") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
            raise LocalCloudError(
                f"{self.admin_url} cannot be reached, or is not Restate's admin API ({type(error).__name__})."
            ) from None
        return {found["name"]: (found["deployment_id"], found["revision"]) for found in services}

    def refuse_services(self) -> None:
        """Raise LocalCloudError if Restate has services, because they are not this run's."""
        if services := self.services():
            raise LocalCloudError(
                f"This Restate already has services ({', '.join(sorted(services))}), and nothing was touched: an "
                "acceptance needs an environment without any."
            )

    def stack_status(self) -> str | None:
        """The stack's status in CloudFormation, or None if there is no such stack."""
        try:
            (stack,) = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack["StackStatus"]

    def _cdk(self, arguments: list[str]) -> None:
        cdk(arguments, self.environment(), self.folder / "cdk.log", lambda _: None)


class LocalSite(Site):
    """A local cloud that is started for the run, and stopped and deleted at its end."""

    def __init__(self, name: str, cloud: HolidayCloud, context: Mapping[str, str], folder: Path) -> None:
        settings = {"adminUrl": cloud.admin_url, "ingressUrl": cloud.ingress_url, "bundleFor": "host", **context}
        super().__init__(name, cloud.ingress_url, cloud.admin_url, cloud.client, settings, folder)
        self._cloud = cloud

    def environment(self) -> dict[str, str]:
        environment = self._cloud.environment()
        assert_local(environment)
        return environment

    def prepare(self) -> None:
        self._cloud.step = step
        self._cloud.stop()  # left by a run that was killed
        self._cloud.start()
        stacks.bootstrap(self._cloud)
        self.refuse_services()

    def clean_up(self) -> list[str]:
        self._cloud.stop()
        return []
