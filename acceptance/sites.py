"""Where an acceptance runs, and how its stack comes and goes: in a local cloud of its own, or on AWS.

Everything that a run makes has a name that begins with the run's, so that clean-up needs no memory of how far the run
had come: it removes by name what is there.
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
    """A Restate, an AWS, and the one stack of this run. `settings` are what it is told; `folder` has the logs."""

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
        # Of this run alone: no file in environments/ is read, whatever cdk.json says.
        self.settings = {"environment": environments.NONE, "prefix": name, "disposable": "true", **settings}
        self.stack = Settings(prefix=name).stack_name
        self.lambdas = Path(self.settings.get("acceptance:lambdas", ROOT / "lambdas"))
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """What the CDK CLI gets."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the stack needs."""
        raise NotImplementedError

    def clean_up(self) -> list[str]:
        """Remove all that this run has made, and return a line for each thing that is left: what, why, and how to
        remove it."""
        raise NotImplementedError

    def deploy(self, lambdas: Path) -> dict[str, str]:
        """`cdk deploy`, with these Lambda sources; returns the outputs. Raises LocalCloudError with cdk's words."""
        outputs = self.folder / "outputs.json"
        outputs.unlink(missing_ok=True)
        settings = self.settings | {"acceptance:lambdas": str(lambdas)}
        self._cdk(stacks.deploy_arguments(APP, [self.stack], settings, self.folder / "cdk.out", outputs))
        return json.loads(outputs.read_text())[self.stack]

    def destroy(self) -> None:
        """`cdk destroy`, of what was deployed last."""
        self._cdk(["destroy", self.stack, "--force", "--app", str(self.folder / "cdk.out")])

    def services(self) -> dict[str, tuple[str, int]]:
        """Each service that Restate has: the id of its latest deployment, and the revision that it has reached.

        Raises LocalCloudError, whose sentence does not hold the key.
        """
        try:
            services = self.admin.services()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            what = "rejects this API key" if status in (401, 403) else "is not Restate's admin API"
            raise LocalCloudError(f"{self.admin_url} {what} ({status}).") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
            raise LocalCloudError(f"{self.admin_url} does not answer as Restate ({type(error).__name__}).") from None
        return {found["name"]: (found["deployment_id"], found["revision"]) for found in services}

    def refuse_services(self) -> None:
        """Raise LocalCloudError if Restate has services: what is there is somebody's."""
        if services := self.services():
            raise LocalCloudError(
                f"This Restate has services already ({', '.join(sorted(services))}), and nothing was touched: an "
                "acceptance takes an environment of its own, without any."
            )

    def stack_status(self) -> str | None:
        """What CloudFormation says of the stack, or None if there is none."""
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
    """A local cloud that is started for the run, and stopped at its end with all that is in it."""

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
        self._cloud.stop()  # of a run that was killed
        self._cloud.start()
        stacks.bootstrap(self._cloud)
        self.refuse_services()

    def clean_up(self) -> list[str]:
        self._cloud.stop()
        return []
