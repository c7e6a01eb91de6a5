"""The engines, Restate and both types of Step Functions workflow: how each is driven, asked, cancelled and counted."""

import math
import re
import sys
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx

from demo.cloud import HolidayCloud
from holiday.services import SERVICES, Service
from localcloud.environment import ROOT
from localcloud.invocations import unfinished
from tests.driver import TIMEOUT, Holiday, logged

EMULATOR = ("-m", "comparison.emulator")
APP = f"{sys.executable} {ROOT / 'comparison' / 'step_functions' / 'app.py'}"
WORKFLOW_TYPES = ("EXPRESS", "STANDARD")
STATUSES = {"success": 200, "failPayment": 422}
BILLED = re.compile(r"Billed Duration: (\d+) ms")
PLATFORM_LINES = ("START RequestId", "END RequestId", "REPORT RequestId")  # on AWS, the functions' log level drops them
ARRIVAL = 0.02
"""Seconds between two callers' first requests: if all came at once, the emulator would start a process for each."""


class BenchError(Exception):
    """A trip did not end as it must: a wrong answer is not worth measuring."""


class Engine(Holiday):
    """One engine's version of the holiday, deployed. Here it is Restate's."""

    name, stack, can_cancel = "Restate", "HolidayStack", True

    def book(self, run_type: str, trip_id: str = "") -> tuple[httpx.Response, float]:
        """Book a trip. Returns the answer and the seconds that it took."""
        request = {"trip_id": trip_id or f"bench-{uuid.uuid4()}"}
        begin = time.perf_counter()
        answer = self.reserve(request | ({} if run_type == "success" else {"run_type": run_type}))
        return answer, time.perf_counter() - begin

    def turn(self, run_type: str, callers: int, trips: int) -> tuple[list[float], float]:
        """Let `callers` book `trips` in all. Returns the seconds until each answer, and until all was settled.

        Raises BenchError for an answer that is not this run type's.
        """

        def call(number: int) -> list[float]:
            time.sleep(number * ARRIVAL)
            booked = [self.book(run_type) for _ in range(trips // callers)]
            for answer, _ in booked:
                if answer.status_code != STATUSES[run_type]:
                    raise BenchError(f"{self.name} answered {answer.status_code}: {answer.text[:300]}")
            return [seconds for _, seconds in booked]

        begin = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            answers = [seconds for each in pool.map(call, range(callers)) for seconds in each]
        self.settle()
        return answers, time.perf_counter() - begin

    def counts(self) -> dict[str, float]:
        """What there has been so far, by unit: from the functions' logs, and the engine's own."""
        billed_ms, own = list[int](), list[str]()
        for line in (line for lines in logged(self.cloud, f"/{self.stack}/").values() for line in lines):
            billed_ms += [int(found[1]) for found in [BILLED.search(line)] if found]
            own += [line] if not line.startswith(PLATFORM_LINES) else []
        counts = {"Lambda invocations": len(billed_ms), "Lambda GB-seconds": sum(billed_ms) / 1000}
        return counts | {"KB of logs": sum(len(line.encode()) for line in own) / 1000} | self.own_counts()

    def own_counts(self) -> dict[str, float]:
        return {"Restate invocations": len(self.query("SELECT id FROM sys_invocation_status"))}

    def cancel(self) -> None:
        """Cancel the one trip that is under way."""
        for row in self.query(unfinished("target = 'trips/reserve'", "id")):
            self.cloud.admin.operate("cancel", row["id"])


@dataclass
class StepFunctions(Engine):
    """Driven as the Restate version is: another address, and executions instead of invocations.

    It stays at the services and the run types of the original, whatever is added to the Restate version.
    """

    services: ClassVar[Mapping[str, Service]] = {name: SERVICES[name] for name in ("flights", "cars", "payments")}
    workflow_type: str = "STANDARD"

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = self.workflow_type.capitalize()
        self.name, self.stack, self.can_cancel = f"Step Functions {kind}", f"StepFunctions{kind}", kind == "Standard"
        url = f"{self.cloud.aws_url}/_aws/execute-api/{self.names['ApiId']}/$default"
        self.http = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False)

    def invocation_of(self, response: httpx.Response) -> str:
        return response.headers["x-execution-arn"]

    def unfinished(self) -> int:
        return len(self._executions(statusFilter="RUNNING"))

    def own_counts(self) -> dict[str, float]:
        """States entered, and what is charged for: each of them, or an EXPRESS workflow's requests and duration."""
        executions, states = self._executions(), self.cloud.client("stepfunctions")
        events = [
            states.get_execution_history(executionArn=each["executionArn"], maxResults=1000)["events"]
            for each in executions
        ]
        entered = sum(event["type"].endswith("StateEntered") for each in events for event in each)
        counts: dict[str, float] = {"states entered": entered, "HTTP API requests": len(executions)}
        if self.workflow_type == "STANDARD":
            return counts | {"Standard state transitions": entered}
        seconds = sum(
            math.ceil((each["stopDate"] - each["startDate"]).total_seconds() * 10) / 10 for each in executions
        )
        return counts | {"Express requests": len(executions), "Express GB-seconds": seconds * 64 / 1024}

    def cancel(self) -> None:
        for each in self._executions(statusFilter="RUNNING"):
            self.cloud.client("stepfunctions").stop_execution(executionArn=each["executionArn"])

    def _executions(self, **options: Any) -> list[Any]:
        pages = self.cloud.client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=self.names["StateMachineArn"], **options)
        return [execution for page in found for execution in page["executions"]]


def deploy_step_functions(cloud: HolidayCloud) -> list[StepFunctions]:
    """Deploy both types of workflow in one go."""
    stacks = {kind: f"StepFunctions{kind.capitalize()}" for kind in WORKFLOW_TYPES}
    outputs = cloud.deploy_app(APP, ROOT, [*stacks.values()], {"bundleFor": "host"})
    return [StepFunctions(cloud, outputs[stack], workflow_type=kind) for kind, stack in stacks.items()]
