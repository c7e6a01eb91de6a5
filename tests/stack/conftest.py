"""The stack, synthesized for Restate Cloud and for a self-hosted server, and queries over its template."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from holiday_stack.settings import Settings
from holiday_stack.stack import BOOKED, HolidayStack

ROOT = Path(__file__).parents[2]
ENVIRONMENT_ID = "env_201hy10cd3h6426jy80tb32n6en"
SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:restate/api-key-AbCdEf"
CLOUD = {
    "environmentId": ENVIRONMENT_ID,
    "authTokenSecretArn": SECRET_ARN,
    "restateRegion": "eu",
    "notificationEmail": "ann@example.com",
    "alarmTopicArn": "arn:aws:sns:eu-west-1:111122223333:alarms",
}
SELF_HOSTED = {"adminUrl": "http://restate.example.com:9070", "prefix": "ann"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
CALLEES = [name.capitalize() for name in BOOKED]
SERVICES = [*CALLEES, "Trips"]


@dataclass
class Synthesized:
    """A template, as JSON."""

    template: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical ids and resources of one type."""
        return {name: found for name, found in self.template["Resources"].items() if found["Type"] == kind}

    def one(self, kind: str, containing: str) -> tuple[str, dict[str, Any]]:
        """The single resource of a type whose logical id contains this text."""
        ((name, found),) = ((name, found) for name, found in self.of_type(kind).items() if containing in name)
        return name, found

    def statements(self, containing: str) -> list[dict[str, Any]]:
        """All statements of all policies of the role whose logical id contains this text."""
        role, resource = self.one("AWS::IAM::Role", containing)
        assert "ManagedPolicyArns" not in resource["Properties"] and "Policies" not in resource["Properties"]
        policies = self.of_type("AWS::IAM::Policy").values()
        return [
            statement
            for policy in policies
            if {"Ref": role} in policy["Properties"]["Roles"]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        ]

    def needed_by(self, name: str) -> set[str]:
        """Everything that the resource depends on, directly or indirectly."""
        found: set[str] = set()
        to_do = [name]
        while to_do:
            resource = self.template["Resources"].get(to_do.pop())
            direct = {*resource.get("DependsOn", []), *_references(resource)} if resource else set[str]()
            to_do += direct - found
            found |= direct
        return found


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        mapping = cast(dict[str, Any], value)
        own: set[str] = {mapping["Ref"]} if "Ref" in mapping else set()
        own |= {mapping["Fn::GetAtt"][0]} if "Fn::GetAtt" in mapping else set()
        return own.union(*(_references(each) for each in mapping.values()))
    if isinstance(value, list):
        return set[str]().union(*(_references(each) for each in cast(list[object], value)))
    return set()


def allowed(statements: Iterable[dict[str, Any]]) -> list[tuple[set[str], Any]]:
    """The allowed actions and resources, without logging."""
    found = [({*listed(each["Action"])}, each["Resource"]) for each in statements if each["Effect"] == "Allow"]
    return [(actions, resource) for actions, resource in found if actions != LOGS]


def listed(value: Any) -> list[Any]:
    """IAM allows a single item in place of a list."""
    return cast(list[Any], value) if isinstance(value, list) else [value]


def function_of(stack: Synthesized, service: str) -> str:
    return stack.one("AWS::Lambda::Function", f"{service}Service")[0]


def variables(stack: Synthesized, service: str) -> dict[str, Any]:
    _, function = stack.one("AWS::Lambda::Function", f"{service}Service")
    return function["Properties"]["Environment"]["Variables"]


def app_with_cdk_json(outdir: Path | None = None) -> App:
    """An app with the feature flags of cdk.json, which the CLI would pass to it."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return App(context=flags, analytics_reporting=False, outdir=str(outdir) if outdir else None)


def synthesized(context: dict[str, str]) -> Synthesized:
    settings = Settings.from_context(context)
    stack = HolidayStack(app_with_cdk_json(), settings.stack_name, settings)
    return Synthesized(dict(Template.from_stack(stack).to_json()))


@pytest.fixture(scope="session")
def cloud() -> Synthesized:
    """With Restate Cloud."""
    return synthesized(CLOUD)


@pytest.fixture(scope="session")
def self_hosted() -> Synthesized:
    """With a self-hosted server."""
    return synthesized(SELF_HOSTED)
