"""Runs all services in one local process, with their own tables and topic and without a deployment."""

import threading
from pathlib import Path
from typing import TypeVar

from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports
from localcloud.services import Services
from tests.expectations import TABLES

LAMBDAS = ROOT / "lambdas"
S = TypeVar("S", bound=Services)


class Restarted(Services):
    """Services that are restarted whenever they die, until `end` is called."""

    _wanted = True

    def start(self) -> bool:
        started = super().start()
        threading.Thread(target=self._watch, daemon=True).start()
        return started

    def end(self) -> None:
        self._wanted = False
        if self._process:
            self._process.kill()
            self._process.wait()

    def _watch(self) -> None:
        while self._wanted:
            if self._process:
                self._process.wait()
            if self._wanted:
                super().start()


def create_resources(cloud: LocalCloud) -> dict[str, str]:
    """Create the tables and the topic. Returns their names, as in the stack's outputs."""
    names = {f"{table}TableName": create_table(cloud, table) for table in TABLES.values()}
    return names | {"TopicArn": cloud.client("sns").create_topic(Name="Notices")["TopicArn"]}


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


def services(
    cloud: LocalCloud, names: dict[str, str], lambdas: Path = LAMBDAS, kind: type[S] = Services, **variables: str
) -> S:
    """The services with these resources, not yet started. They end with the cloud at the latest."""
    output = cloud.log("services").open("ab")
    return kind("holiday.local", lambdas, Ports.free().ingress, environment(cloud, names) | variables, output)


def environment(cloud: LocalCloud, names: dict[str, str]) -> dict[str, str]:
    """The environment variables of a process with these resources."""
    tables = {row.table_variable: names[f"{TABLES[name]}TableName"] for name, row in SERVICES.items()}
    return cloud.environment() | cloud.run_id() | tables | {"SNS_TOPIC": names["TopicArn"]}
