"""cdk-nag's AWS Solutions rules and cfn-lint, because the emulator accepts templates that AWS rejects."""

import json
from pathlib import Path

import pytest
from aws_cdk import Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks
from cfnlint.api import lint  # pyright: ignore[reportMissingTypeStubs]
from cfnlint.config import ManualArgs  # pyright: ignore[reportMissingTypeStubs]

from holiday_stack.settings import Settings
from holiday_stack.stack import HolidayStack
from tests.stack.conftest import (
    CLOUD,
    SELF_HOSTED,
    app_with_cdk_json,
    synthesized,
)


@pytest.mark.parametrize("context", [CLOUD, SELF_HOSTED], ids=["cloud", "self-hosted"])
def test_every_aws_solutions_rule_passes_or_its_exception_is_justified(context: dict[str, str], tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    HolidayStack(app, "Holiday", Settings.from_context(context))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType]

    app.synth()  # raises for any finding that is not acknowledged


# CDK adds a DependsOn beside a reference, which is redundant and harmless.
LINTED = ManualArgs(regions=["eu-west-1"], ignore_checks=["W3005"])


@pytest.mark.parametrize("context", [CLOUD, SELF_HOSTED], ids=["cloud", "self-hosted"])
def test_cfn_lint_finds_nothing(context: dict[str, str]) -> None:
    assert lint(json.dumps(synthesized(context).template), config=LINTED) == []


def test_cfn_lint_finds_an_error() -> None:
    careless = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Colour": "blue"}}}}

    assert [match.rule.id for match in lint(json.dumps(careless), config=LINTED)] == ["E3002"]


def test_the_aws_solutions_rules_find_an_error(tmp_path: Path) -> None:
    app = app_with_cdk_json(tmp_path)
    sqs.Queue(Stack(app, "Careless"), "Queue")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))  # pyright: ignore[reportArgumentType]

    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()
