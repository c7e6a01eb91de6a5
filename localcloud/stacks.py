"""Stacks of CDK apps in a local cloud, deployed and destroyed by the CDK CLI.

An app is a command and the folder that it runs in. What it synthesized last is kept, so that it can be destroyed as it
was deployed, whatever its code says by then.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.deploy import cdk
from localcloud.environment import ACCOUNT, REGION, ROOT, LocalCloudError, assert_local, local_client

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud


@dataclass(frozen=True)
class CdkApp:
    """A CDK app.

    Attributes:
        name: What its cloud assembly and its outputs are kept under.
        command: What synthesizes it.
        folder: Where the command runs, and where cdk looks for a cdk.json.
        tools: A folder that comes first on the command's PATH. Default: this checkout's tools do.
    """

    name: str
    command: str
    folder: Path = ROOT
    tools: Path | None = None

    @classmethod
    def of(cls, command: str, folder: Path) -> "CdkApp":
        """Anybody's app, with the tools of the caller's virtual environment if one is active.

        Raises:
            LocalCloudError: The folder does not exist.
        """
        folder = folder.resolve()
        if not folder.is_dir():
            raise LocalCloudError(f"{folder} is not a folder: name the one that `{command}` runs in.")
        active = os.environ.get("VIRTUAL_ENV")
        name = hashlib.sha256(f"{folder}\0{command}".encode()).hexdigest()[:16]
        return cls(name, command, folder, Path(active) / "bin" if active else None)


def bootstrap(cloud: "LocalCloud") -> None:
    """`cdk bootstrap`, which needs no app, so it is given none and does not synthesize one."""
    environment = cloud.environment()
    assert_local(environment)
    with cloud.step("Bootstrapping CDK") as note:
        arguments = ["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", ""]
        cdk(arguments, environment, cloud.log("cdk"), note)
    if cloud.auth:  # the bucket refuses plain HTTP, which is all that the emulator speaks
        bucket = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
        local_client("s3", cloud.aws_url).delete_bucket_policy(Bucket=bucket)


def deploy(
    cloud: "LocalCloud", app: CdkApp, stacks: Sequence[str], context: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """`cdk deploy` these stacks and those that they need, by default all, and return {stack: its outputs}.

    The app is told by context, unless that says otherwise, where this cloud's Restate is: `adminUrl`, `ingressUrl`.

    Raises:
        LocalCloudError: cdk failed, with its own error message.
    """
    environment = _environment(cloud, app)
    file = cloud.directory / "outputs" / f"{app.name}.json"
    file.unlink(missing_ok=True)
    settings = {"adminUrl": cloud.admin_url, "ingressUrl": cloud.ingress_url, **context}
    with cloud.step(f"Deploying {_said(app, stacks)}") as note:
        arguments = deploy_arguments(app.command, stacks, settings, _assembly(cloud, app), file)
        cdk(arguments, environment, cloud.log("cdk"), note, app.folder)
    return json.loads(file.read_text()) if file.exists() else {}


def deploy_arguments(
    command: str, stacks: Sequence[str], settings: Mapping[str, str], assembly: Path, outputs: Path
) -> list[str]:
    """What the CDK CLI is told to deploy these stacks, by default all, of the app that this command synthesizes.

    It writes the cloud assembly and the outputs there. `settings` are the app's context.
    """
    return [
        *("deploy", *(stacks or ["--all"]), "--app", command, "--output", str(assembly)),
        *("--require-approval", "never", "--method", "direct", "--progress", "events"),
        *("--outputs-file", str(outputs)),
        *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
    ]


def destroy(cloud: "LocalCloud", app: CdkApp, stacks: Sequence[str] = ()) -> None:
    """`cdk destroy` these stacks and those that need them, by default all, as the app synthesized them last."""
    environment = _environment(cloud, app)
    assembly = _assembly(cloud, app)
    if not assembly.exists():
        raise LocalCloudError(
            f"Nothing was deployed of `{app.command}` in {app.folder}: give the command and the folder that it was "
            "deployed by."
        )
    with cloud.step(f"Destroying {_said(app, stacks)}") as note:
        arguments = ["destroy", *(stacks or ["--all"]), "--force", "--app", str(assembly)]
        cdk(arguments, environment, cloud.log("cdk"), note, app.folder)


def outputs(cloud: "LocalCloud", stack: str) -> dict[str, str]:
    """The outputs of a stack; empty if it is not deployed."""
    for found in cloud.client("cloudformation").describe_stacks()["Stacks"]:
        if found["StackName"] == stack and found["StackStatus"] != "DELETE_COMPLETE":
            return {output.get("OutputKey", ""): output.get("OutputValue", "") for output in found.get("Outputs", [])}
    return {}


def _environment(cloud: "LocalCloud", app: CdkApp) -> dict[str, str]:
    environment = cloud.environment()
    if app.tools:
        environment["PATH"] = os.pathsep.join([str(app.tools), environment["PATH"]])
    assert_local(environment)
    return environment


def _assembly(cloud: "LocalCloud", app: CdkApp) -> Path:
    return cloud.directory / "cdk.out" / app.name


def _said(app: CdkApp, stacks: Sequence[str]) -> str:
    return ", ".join(stacks) or f"all stacks of `{app.command}`"
