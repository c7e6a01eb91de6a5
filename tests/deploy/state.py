"""What the deploy tests inspect: Restate's registrations, published versions, rows and processes."""

import os
import uuid
from collections.abc import Set
from pathlib import Path

import httpx
import psutil

from demo import booking, contract
from demo.cloud import HolidayCloud
from localcloud import invocations
from localcloud.cloud import LocalCloud
from tests.driver import eventually


def services(cloud: LocalCloud) -> dict[str, tuple[str, int]]:
    """For each service, the id of the latest deployment and the service's revision."""
    return {service["name"]: (service["deployment_id"], service["revision"]) for service in cloud.admin.services()}


def deployments(cloud: LocalCloud) -> dict[str, str]:
    """The ARN or URL of each deployment registered with Restate, by id."""
    return {found["id"]: found.get("arn") or found["uri"] for found in cloud.admin.deployments()}


def addresses(cloud: LocalCloud, expected: Set[str]) -> set[str]:
    """The ARNs and URLs of all deployments, as soon as they are the expected ones.

    Restate accepts a removal (202) a moment before it takes effect.
    """
    return eventually(lambda: set(deployments(cloud).values()), lambda found: found == expected)


def versions(stack: dict[str, str]) -> set[str]:
    return {arn for name, arn in stack.items() if name.endswith("VersionArn")}


def published_versions(cloud: LocalCloud) -> set[str]:
    """The ARN of every published version of every function."""
    functions = cloud.client("lambda")
    names = [function.get("FunctionName", "") for function in functions.list_functions()["Functions"]]
    versions = [
        version for name in names for version in functions.list_versions_by_function(FunctionName=name)["Versions"]
    ]
    return {arn for version in versions if not (arn := version.get("FunctionArn", "")).endswith(":$LATEST")}


def book(cloud: HolidayCloud) -> contract.Trip:
    """Book one trip and wait until its rows and its notice are as the contract says."""
    inbox = booking.inbox(cloud)
    trip = booking.book(cloud, f"deploy-{uuid.uuid4()}", "success")
    booking.settle(cloud, inbox, [trip])
    return trip


def routes(cloud: LocalCloud) -> set[str]:
    """The ARNs and URLs of the latest deployments, to which new invocations go."""
    registered = deployments(cloud)
    return {registered[deployment] for deployment, _ in services(cloud).values()}


def processes_below(directory: Path) -> list[psutil.Process]:
    """Every process with this directory in its environment."""
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
    return next(process for process in processes_below(cloud.directory) if "localcloud.emulator" in process.cmdline())


def unfinished(cloud: LocalCloud) -> list[str]:
    """All invocations that have not ended: target and status."""
    rows = cloud.admin.query(invocations.unfinished())
    return [f"{row['target']} {row['status']}" for row in rows]


def awakeable(cloud: LocalCloud, trip_id: str) -> str | None:
    """The awakeable that a trip waits for in `flights`. The waiting variant of the sources stores its id there."""
    found = cloud.admin.query(f"SELECT value_utf8 FROM state WHERE service_key = '{trip_id}' AND key = 'awakeable'")
    return found[0]["value_utf8"].strip('"') if found else None


def resolve(cloud: LocalCloud, name: str) -> None:
    """Resolve an awakeable, which unblocks its waiter."""
    httpx.post(
        f"{cloud.ingress_url}/restate/awakeables/{name}/resolve", json="go", timeout=60, trust_env=False
    ).raise_for_status()


def stacks(cloud: LocalCloud) -> set[str]:
    """The names of the stacks that exist."""
    told = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in told if stack["StackStatus"] != "DELETE_COMPLETE"}


def deployments_of(cloud: LocalCloud, service: str) -> set[str]:
    """The ids of all deployments of a service."""
    rows = cloud.admin.query(f"SELECT deployment_id FROM sys_service WHERE name = '{service}'")
    return {row["deployment_id"] for row in rows}
