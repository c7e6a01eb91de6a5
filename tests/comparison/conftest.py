"""The Step Functions version, both kinds of workflow, in a local cloud whose emulator names errors as Lambda does."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import httpx
import pytest

from comparison.engines import EMULATOR, WORKFLOW_TYPES, deploy_step_functions, fetch_libraries
from demo.cloud import HolidayCloud
from demo.contract import CONTRACT
from holiday.services import SERVICES, Service
from localcloud.ports import Ports
from tests.driver import TIMEOUT, Holiday


class StepFunctions(Holiday):
    """Driven as the Restate version is: another address, and executions instead of invocations.

    It stays at the services and the run types of the original, whatever is added to the Restate version.
    """

    services: ClassVar[Mapping[str, Service]] = {name: SERVICES[name] for name in ("flights", "cars", "payments")}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.http = httpx.Client(
            base_url=f"{self.cloud.aws_url}/_aws/execute-api/{self.names['ApiId']}/$default",
            timeout=TIMEOUT,
            trust_env=False,
        )

    def invocation_of(self, response: httpx.Response) -> str:
        return response.headers["x-execution-arn"]

    def unfinished(self) -> int:
        running = self.cloud.client("stepfunctions").list_executions(
            stateMachineArn=self.names["StateMachineArn"], statusFilter="RUNNING"
        )
        return len(running["executions"])


@pytest.fixture(scope="session")
def step_functions_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    fetch_libraries()
    cloud = HolidayCloud(tmp_path_factory.mktemp("step-functions"), Ports.free())
    cloud.emulator = EMULATOR
    with cloud:
        yield cloud


@pytest.fixture(scope="session")
def workflows(step_functions_cloud: HolidayCloud) -> dict[str, StepFunctions]:
    """One of each kind, in one cloud."""
    cloud = step_functions_cloud
    return {kind: StepFunctions(cloud, dict(deploy_step_functions(cloud, kind).outputs)) for kind in WORKFLOW_TYPES}


@pytest.fixture(params=WORKFLOW_TYPES)
def holiday(request: pytest.FixtureRequest, workflows: dict[str, StepFunctions]) -> StepFunctions:
    run_type = request.node.callspec.params.get("run_type")
    if run_type and run_type not in CONTRACT:
        pytest.skip(f"{run_type} was added to the Restate version")
    return workflows[request.param]
