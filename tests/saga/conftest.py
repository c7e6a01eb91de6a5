"""The same tests against two ways of running the services: in one process over HTTP/2, where an invocation keeps its
connection, and on Lambda, where every await suspends and the next invocation replays. Both with the real
restate-server and the emulator's DynamoDB, SNS and SQS; among the slow tests also with one that has no VQueues.
"""

import subprocess
import sys
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports
from localcloud.servers import WITHOUT_VQUEUES
from tests.conftest import in_both_modes
from tests.driver import Holiday, eventually
from tests.expectations import TABLES


@contextmanager
def one_process(directory: Path, settings: Mapping[str, str]) -> Generator[Holiday]:
    cloud = HolidayCloud(directory, Ports.free())
    cloud.restate_settings = dict(settings)
    with cloud:
        names = {f"{table}TableName": create_table(cloud, table) for table in TABLES.values()}
        names["TopicArn"] = cloud.client("sns").create_topic(Name="Notices")["TopicArn"]
        port = Ports.free().ingress
        service = subprocess.Popen(
            [sys.executable, "-m", "holiday.local", "--port", str(port)],
            cwd=ROOT / "lambdas",
            env=cloud.environment()
            | {row.table_variable: names[f"{TABLES[name]}TableName"] for name, row in SERVICES.items()}
            | {"SNS_TOPIC": names["TopicArn"]},
            stdout=cloud.log("services").open("wb"),
            stderr=subprocess.STDOUT,
        )
        try:
            assert eventually(lambda: answers(f"http://127.0.0.1:{port}/health"), bool)
            uri = {"uri": f"http://127.0.0.1:{port}"}
            httpx.post(f"{cloud.admin_url}/deployments", json=uri, timeout=60, trust_env=False).raise_for_status()
            yield Holiday(cloud, names)
        finally:
            service.terminate()
            service.wait(timeout=60)


@pytest.fixture(scope="session")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[Holiday]:
    with one_process(tmp_path_factory.mktemp("one-process"), {}) as holiday:
        yield holiday


@pytest.fixture(scope="session")
def in_one_process_without_vqueues(tmp_path_factory: pytest.TempPathFactory) -> Generator[Holiday]:
    with one_process(tmp_path_factory.mktemp("one-process-without"), WITHOUT_VQUEUES) as holiday:
        yield holiday


@pytest.fixture(params=[*in_both_modes("in_one_process"), *in_both_modes("on_lambda")])
def holiday(request: pytest.FixtureRequest) -> Holiday:
    return request.getfixturevalue(request.param)


@pytest.fixture
def trip_id() -> str:
    return f"trip-{uuid.uuid4()}"


def create_table(cloud: LocalCloud, name: str) -> str:
    cloud.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    return name


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
