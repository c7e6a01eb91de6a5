"""What an engine has done so far, read from where it is recorded: function logs, Restate, executions, tables."""

import io
import json
import re
import statistics
import time
import zipfile
from typing import Any

import httpx

from comparison.engines import Engine
from localcloud.admin import Admin
from localcloud.cloud import LocalCloud
from localcloud.invocations import SENT_AND_NOT_DONE, unfinished

BILLED = re.compile(r"Billed Duration: (\d+) ms")
LAMBDA_S_OWN = ("START RequestId", "END RequestId", "REPORT RequestId")  # not logged on AWS: holiday_stack's functions
NO_OP = "def handler(event, context):\n    print('.')\n    return {}\n"


class Observer:
    """Reads one engine's logs, rows and runs in `cloud`."""

    def __init__(self, cloud: LocalCloud, engine: Engine) -> None:
        self._cloud = cloud
        self._admin = Admin(cloud.admin_url)
        self._outputs = engine.outputs
        self._machine = engine.outputs.get("StateMachineArn")
        self._stack = self._machine.split(":stateMachine:")[1].partition("-")[0] if self._machine else "HolidayStack"
        self._begin = int(time.time() * 1000)
        self._executions: dict[str, tuple[int, float]] = {}
        self.can_cancel = not self._machine or "Standard" in self._stack

    def snapshot(self) -> dict[str, float]:
        """How many of each there have been: Lambda invocations, their billed ms, the bytes that they logged, and the
        engine's own units."""
        logs = self._cloud.client("logs")
        billed = steps = invocations = log_bytes = 0
        for group in logs.describe_log_groups()["logGroups"]:
            name = group.get("logGroupName", "")
            if f"/{self._stack}/" not in name:
                continue
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=self._begin)
            messages = [event.get("message", "") for page in pages for event in page["events"]]
            found = [int(report[1]) for report in map(BILLED.search, messages) if report]
            lines = [line for message in messages for line in message.splitlines()]
            log_bytes += sum(len(line.encode()) for line in lines if not line.startswith(LAMBDA_S_OWN))
            invocations += len(found)
            billed += sum(found)
            steps += 0 if "TripsReserve" in name else sum(found)
        counts: dict[str, float] = {"lambda_invocations": invocations, "billed_ms": billed, "log_bytes": log_bytes}
        if self._machine:
            return counts | {"state_transitions": self._transitions(), "workflow_ms": steps}
        return counts | {"restate_invocations": self._rows("SELECT id FROM sys_invocation_status")}

    def idle(self) -> None:
        """Wait until nothing runs or waits to run: the end of what is timed."""
        while self._unfinished():
            time.sleep(0.01)

    def settle(self) -> None:
        """Wait until nothing is under way any more, not even between two of Restate's partitions."""
        self.idle()
        while not self._machine and self._rows(SENT_AND_NOT_DONE):
            self.idle()

    def cancel(self) -> None:
        """Cancel the one trip that is under way, in the engine's own way."""
        if self._machine:
            for execution in self._running():
                self._cloud.client("stepfunctions").stop_execution(executionArn=execution)
            return
        for row in self._admin.query(unfinished("target = 'trips/reserve'", "id")):
            url = f"{self._cloud.admin_url}/invocations/{row['id']}/cancel"
            httpx.patch(url, trust_env=False, timeout=30).raise_for_status()

    def statuses(self, trip_id: str) -> list[str]:
        """The statuses of the trip's rows in all three tables."""
        dynamodb = self._cloud.client("dynamodb")
        return [
            str(row["transaction_status"].get("S"))
            for table in ("FlightsTableName", "CarsTableName", "PaymentsTableName")
            for row in dynamodb.query(
                TableName=self._outputs[table],
                ConsistentRead=True,
                KeyConditionExpression="pk = :trip",
                ExpressionAttributeValues={":trip": {"S": trip_id}},
            )["Items"]
        ]

    def _unfinished(self) -> int:
        if self._machine:
            return len(self._running())
        return self._rows(unfinished(columns="id"))

    def _running(self) -> list[str]:
        found = self._cloud.client("stepfunctions").list_executions(
            stateMachineArn=str(self._machine), statusFilter="RUNNING"
        )
        return [execution["executionArn"] for execution in found["executions"]]

    def _transitions(self) -> int:
        """Every state that was entered, as the executions' histories say. Nothing here is retried while it counts."""
        states = self._cloud.client("stepfunctions")
        entered = 0
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=str(self._machine))
        for execution in [found["executionArn"] for page in pages for found in page["executions"]]:
            history = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
            entered += sum(event["type"].endswith("StateEntered") for event in history)
        return entered

    def _rows(self, sql: str) -> int:
        return len(self._admin.query(sql))


def calibrate(cloud: LocalCloud) -> dict[str, float]:
    """What the emulator takes for nothing: a warm function that does nothing, and an execution of one Pass state."""
    functions, states = cloud.client("lambda"), cloud.client("stepfunctions")
    role = "arn:aws:iam::000000000000:role/nobody"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", NO_OP)
    functions.create_function(
        FunctionName="no-op",
        Runtime="python3.13",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": package.getvalue()},
    )
    definition = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(
        name="no-op", type="EXPRESS", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]

    def invoke() -> None:
        functions.invoke(FunctionName="no-op", Payload=b"{}")["Payload"].read()

    def execute() -> None:
        begun = states.start_execution(stateMachineArn=machine)["executionArn"]
        while states.describe_execution(executionArn=begun)["status"] == "RUNNING":
            time.sleep(0.001)

    return {"empty_function_ms": _median_ms(invoke), "empty_execution_ms": _median_ms(execute)}


def _median_ms(action: Any) -> float:
    times: list[float] = []
    for _ in range(21):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times[1:])
