"""What the deploy tests look at: Restate's registrations, the published versions, the rows, and the processes."""

import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import psutil

from localcloud import demo
from localcloud.cloud import LocalCloud


def services(cloud: LocalCloud) -> dict[str, tuple[str, int]]:
    """Where Restate sends each service's new invocations, the deployment's id, and the revision that it has reached."""
    answer = httpx.get(f"{cloud.admin_url}/services", trust_env=False).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["services"]
    return {service["name"]: (service["deployment_id"], service["revision"]) for service in found}


def deployments(cloud: LocalCloud) -> dict[str, str]:
    """What is registered with Restate: the ARN or address of each deployment, by id."""
    answer = httpx.get(f"{cloud.admin_url}/deployments", trust_env=False).raise_for_status()
    found: list[dict[str, str]] = answer.json()["deployments"]
    return {deployment["id"]: deployment.get("arn") or deployment["uri"] for deployment in found}


def published_versions(cloud: LocalCloud) -> set[str]:
    """The ARN of every published version of every function."""
    functions = cloud.client("lambda")
    names = [function.get("FunctionName", "") for function in functions.list_functions()["Functions"]]
    versions = [
        version for name in names for version in functions.list_versions_by_function(FunctionName=name)["Versions"]
    ]
    return {arn for version in versions if not (arn := version.get("FunctionArn", "")).endswith(":$LATEST")}


def book(cloud: LocalCloud) -> demo.Trip:
    """Book one trip and wait until its rows and its notice are as the contract says."""
    inbox = demo.Inbox(cloud, cloud.outputs()["TopicArn"])
    trip = demo.book(cloud, f"deploy-{uuid.uuid4()}", "success")
    demo.settle(cloud, inbox, [trip])
    return trip


def routes(cloud: LocalCloud) -> set[str]:
    """Where new invocations go: the addresses of the latest deployments."""
    registered = deployments(cloud)
    return {registered[deployment] for deployment, _ in services(cloud).values()}


def processes_below(directory: Path) -> list[psutil.Process]:
    """Every process that works in this directory or was given it in its environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if str(directory) in " ".join(process.environ().values()) and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def emulator_of(cloud: LocalCloud) -> psutil.Process:
    """The emulator's own process, not one of its Lambdas."""
    return next(process for process in processes_below(cloud.directory) if "ministack" in process.cmdline())
