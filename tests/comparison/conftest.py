"""The Step Functions version with both workflow types, in a local cloud whose emulator names errors as Lambda does."""

from collections.abc import Iterator

import pytest

from comparison.engines import EMULATOR, WORKFLOW_TYPES, StepFunctions, deploy_step_functions
from demo.cloud import HolidayCloud
from demo.contract import CONTRACT
from localcloud.ports import Ports


@pytest.fixture(scope="session")
def step_functions_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HolidayCloud]:
    cloud = HolidayCloud(tmp_path_factory.mktemp("step-functions"), Ports.free())
    cloud.emulator = EMULATOR
    with cloud:
        yield cloud


@pytest.fixture(scope="session")
def workflows(step_functions_cloud: HolidayCloud) -> dict[str, StepFunctions]:
    """One of each type, in the same cloud."""
    return {engine.workflow_type: engine for engine in deploy_step_functions(step_functions_cloud)}


@pytest.fixture(params=WORKFLOW_TYPES)
def holiday(request: pytest.FixtureRequest, workflows: dict[str, StepFunctions]) -> StepFunctions:
    run_type = request.node.callspec.params.get("run_type")
    if run_type and run_type not in CONTRACT:
        pytest.skip(f"{run_type} was added to the Restate version")
    return workflows[request.param]
