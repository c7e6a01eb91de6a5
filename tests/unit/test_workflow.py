"""The GitHub workflow, as far as it can be checked without GitHub: its form, its pins, and who may do what."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
TO_AWS = "aws-actions/configure-aws-credentials"


def steps(job: str, key: str) -> list[str]:
    return [cast(str, step[key]) for step in JOBS[job]["steps"] if key in step]


def policies() -> list[dict[str, Any]]:
    """The only statements of the IAM documents that docs/operations.md shows: who is trusted, then what is allowed."""
    shown = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    statements = [json.loads(document)["Statement"] for document in shown]
    assert [len(each) for each in statements] == [1, 1]
    return [each[0] for each in statements]


def test_every_change_is_tested_before_anything_else_happens() -> None:
    assert WORKFLOW[True] == {"pull_request": None, "push": {"branches": ["main"]}}  # YAML reads `on` as true
    assert {"make check", "make test", "make synth"} <= set(steps("test", "run"))
    assert {name: job.get("needs") for name, job in JOBS.items()} == {"test": None, "diff": "test", "deploy": "test"}


def test_main_is_deployed_in_a_protected_environment_and_a_pull_request_only_compared() -> None:
    assert JOBS["deploy"]["if"] == "github.event_name == 'push'"
    assert JOBS["deploy"]["environment"] == "production"
    assert [name for name in JOBS if any("cdk deploy" in run for run in steps(name, "run"))] == ["deploy"]
    assert JOBS["diff"]["if"].startswith("github.event_name == 'pull_request' && github.event.pull_request.head.repo")
    assert any("cdk diff --method template" in run for run in steps("diff", "run"))  # which uses the lookup role


def test_nothing_is_permitted_but_to_read_and_to_ask_for_a_token_where_aws_is_talked_to() -> None:
    assert WORKFLOW["permissions"] == {}
    for name, job in JOBS.items():
        talks_to_aws = any(uses.startswith(TO_AWS) for uses in steps(name, "uses"))
        token = {"id-token": "write"} if talks_to_aws else {}
        assert job["permissions"] == {"contents": "read", **token}
    assert JOBS["test"]["permissions"] == {"contents": "read"}


def test_actions_are_pinned_to_commits_and_a_checkout_keeps_no_token() -> None:
    for job in JOBS.values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    assert all(re.search(r" # v\d+\.\d+\.\d+$", line) for line in TEXT.splitlines() if "uses:" in line)


def test_no_secret_is_named_or_written() -> None:
    assert "secrets." not in TEXT
    assert not re.search(r"key_|AKIA|arn:|env_[a-z0-9]{4}|\b\d{12}\b|[A-Za-z0-9+/]{41}", TEXT)


def test_what_comes_from_github_reaches_a_shell_as_variables_only() -> None:
    assert not [run for name in JOBS for run in steps(name, "run") if "${{" in run]


def test_every_make_target_and_setting_that_it_names_exists_and_the_page_names_its_variables() -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(run for name in JOBS for run in steps(name, "run"))))
    assert targets and all(re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for name in targets)

    variables = set(re.findall(r"\bvars\.([A-Z_]+)", TEXT))
    page = (ROOT / "docs" / "operations.md").read_text()
    assert variables and all(f"`{name}`" in page for name in variables)


def test_the_page_s_trust_policy_trusts_one_environment_of_one_repository() -> None:
    trust, _ = policies()

    conditions = trust["Condition"]
    assert set(conditions) == {"StringEquals"}
    assert conditions["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:<owner>/<repository>:environment:production",
    }


@pytest.mark.parametrize("role", ["deploy", "file-publishing", "lookup"])
def test_the_page_s_permissions_are_to_assume_the_bootstrap_roles_and_nothing_else(role: str) -> None:
    _, allowed = policies()

    assert allowed["Action"] == "sts:AssumeRole"
    assert f"arn:aws:iam::<account>:role/cdk-hnb659fds-{role}-role-<account>-<region>" in allowed["Resource"]
    assert len(allowed["Resource"]) == 3 and "*" not in "".join(allowed["Resource"])
