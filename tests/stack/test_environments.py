"""Real `cdk synth`s of an environment by the CLI, with a ~/.cdk.json as on a developer's machine."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from holiday_stack import environments
from holiday_stack.settings import NAMES, Settings
from tests.stack.conftest import ROOT

EXAMPLE = (environments.FOLDER / "example.toml").read_text()
OTHER_APPS: dict[str, object] = {"stage": "dev", "env": {"account": "1"}, "vpcId": "vpc-1"}


def synth(home: Path, mine: dict[str, object], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `cdk synth` with this context in ~/.cdk.json and without AWS credentials."""
    (home / ".cdk.json").write_text(json.dumps({"context": mine}))
    command = ["cdk", "synth", "--quiet", "--no-color", "--no-notices", "--output", str(home / "cdk.out"), *arguments]
    variables = {name: os.environ[name] for name in ("PATH", "JSII_RUNTIME_PACKAGE_CACHE_ROOT")}
    variables |= {"HOME": str(home), "CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_DISABLE_VERSION_CHECK": "true"}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def test_the_example_is_synthesized_with_an_override_whatever_other_apps_have_in_their_context(tmp_path: Path) -> None:
    # given the context of other apps, when the page's example is synthesized as another stack
    done = synth(tmp_path, OTHER_APPS, "-c", "environment=example", "-c", "prefix=ann")

    # then the file's settings are in the template, under the name from the command line
    assert done.returncode == 0, done.stderr
    assert "Ignored, because they are not settings of this app: stage, env, vpcId.\n" in done.stderr
    template: dict[str, Any] = json.loads((tmp_path / "cdk.out" / "ann-HolidayStack.template.json").read_text())
    found = Settings.from_context({"environment": "example"})
    text = json.dumps(template)
    assert f'"sts:ExternalId": "{found.environment_id}"' in text
    assert f'"AlarmActions": ["{found.alarm_topic_arn}"]' in text
    assert f'"Resource": "{found.auth_token_secret_arn}"' in text
    assert template["Outputs"]["IngressUrl"]["Value"].endswith(".env.eu.restate.cloud:8080")


def test_a_misspelt_setting_in_the_home_directory_s_cdk_json_is_rejected_by_name(tmp_path: Path) -> None:
    done = synth(tmp_path, OTHER_APPS | {"alarmTopic": "arn:aws:…"}, "-c", "environment=example")

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "alarmTopic is not a setting. Did you mean alarmTopicArn? Set with -c, or in cdk.json, cdk.context.json or "
        "~/.cdk.json."
    )


def test_the_page_shows_the_example_and_every_environment_is_valid() -> None:
    assert f"```toml\n{EXAMPLE}```" in (ROOT / "docs" / "deploy.md").read_text()
    for name in environments.existing():
        Settings.from_context({"environment": name})


def test_the_page_names_every_setting() -> None:
    section = (ROOT / "docs" / "settings.md").read_text().split("## Settings\n")[1].split("\n## ")[0]

    assert re.findall(r"`([A-Za-z]+)`(?=[^|\n]*\|[^|\n]+\|\n)", section.split("|---|---|\n")[1]) == sorted(
        NAMES, key=section.index
    )


@pytest.mark.parametrize("job", ["diff", "deploy"])
def test_ci_sets_nothing_but_the_environment(job: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()

    (command,) = re.findall(rf"^ *cdk {job} .*$", workflow, re.MULTILINE)
    assert re.findall(r"-c (\S+)", command) == ["environment=production"]
