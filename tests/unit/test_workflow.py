"""The GitHub workflow, as far as that can be checked without GitHub: structure, pins and permissions."""

import json
import os
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from holiday_stack.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
TO_AWS = "aws-actions/configure-aws-credentials"
PRODUCTION = """
environmentId = "env_201hy10cd3h6426jy80tb32n6en"
authTokenSecretArn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:restate-api-key-AbCdEf"
restateRegion = "eu"
alarmTopicArn = "arn:aws:sns:eu-central-1:111122223333:alarms"
prefix = "ann"
pythonRuntime = "3.12"
"""


def steps(job: str, key: str) -> list[str]:
    return [cast(str, step[key]) for step in JOBS[job]["steps"] if key in step]


def policies() -> list[dict[str, Any]]:
    """The only statements of the IAM documents that docs/ci.md shows: who is trusted, then what is allowed."""
    shown = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    statements = [json.loads(document)["Statement"] for document in shown]
    assert [len(each) for each in statements] == [1, 1]
    return [each[0] for each in statements]


def test_every_change_is_tested_before_anything_else_happens() -> None:
    assert WORKFLOW[True] == {"pull_request": None, "push": {"branches": ["main"]}}  # YAML reads `on` as true
    assert {"make check", "make test", "make synth"} <= set(steps("test", "run"))
    assert {name: job.get("needs") for name, job in JOBS.items()} == {"test": None, "diff": "test", "deploy": "test"}


def test_main_is_deployed_in_a_protected_environment_and_a_pull_request_only_diffed() -> None:
    assert JOBS["deploy"]["if"].startswith("github.event_name == 'push' && ")
    assert JOBS["deploy"]["environment"] == "production"
    assert [name for name in JOBS if any("cdk deploy" in run for run in steps(name, "run"))] == ["deploy"]
    assert JOBS["diff"]["if"].startswith("github.event_name == 'pull_request' && github.event.pull_request.head.repo")
    assert any("cdk diff --no-color --method template" in run for run in steps("diff", "run"))  # with the lookup role


def test_a_fork_without_variables_passes_because_the_jobs_that_need_them_are_skipped() -> None:
    for name, job in JOBS.items():
        needed = {step["with"]["role-to-assume"] for step in job["steps"] if step.get("uses", "").startswith(TO_AWS)}
        for expression in needed:
            assert f" && {expression.strip('${} ')} != ''" in job["if"], name
    assert "if" not in JOBS["test"] and "vars." not in str(JOBS["test"])


def test_a_job_with_an_aws_token_installs_only_the_hashed_requirements_for_deploying() -> None:
    trusted = [name for name, job in JOBS.items() if "id-token" in job["permissions"]]
    assert trusted == ["diff", "deploy"]
    for name in trusted:
        installing = [run for run in steps(name, "run") if re.search(r"\b(make|pip|uv|npm|npx|curl)\b", run)]
        assert installing == ["make setup-deploy"]


def run_with_cdk(cdk: str, job: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the job's cdk step as GitHub does, with this line of shell as cdk."""
    for tools in ("node_modules/.bin", ".venv/bin"):
        (folder / tools).mkdir(parents=True)
    command = folder / "node_modules" / ".bin" / "cdk"
    command.write_text(f"#!/bin/sh\n{cdk}\n")
    command.chmod(0o755)
    (script,) = [run for run in steps(job, "run") if re.search(r"^ *cdk ", run, re.MULTILINE)]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(folder / "summary")},
        cwd=folder,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("job", ["diff", "deploy"])
def test_ci_deploys_with_the_same_settings_as_a_deployment_by_hand(tmp_path: Path, job: str) -> None:
    # given a stack that was deployed by hand, with `cdk deploy -c environment=production`
    (tmp_path / "production.toml").write_text(PRODUCTION)
    by_hand = Settings.from_context({"environment": "production"}, tmp_path)
    assert None not in (by_hand.alarm_topic_arn, by_hand.prefix) and by_hand.python_runtime == "3.12"

    # when CI compares or deploys it
    run = run_with_cdk(f'printf "%s\\n" "$@" >{shlex.quote(str(tmp_path / "arguments"))}', job, tmp_path)
    assert run.returncode == 0, run.stderr
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[0] == job

    # then the settings are the same
    named = [value for option, value in pairwise(arguments) if option in ("-c", "--context")]
    assert Settings.from_context(dict(each.split("=", 1) for each in named), tmp_path) == by_hand


SHORT = "Stack HolidayStack\nThere were no differences\n"


@pytest.mark.parametrize(
    ("printed", "status"),
    [
        (SHORT, 0),
        (SHORT, 1),
        ("", 0),
        ("```\n# not a heading\n", 0),
        ("a ```` b\r````\r<img src=x>\n`````\n", 0),
        ("\xff\x00`````` in bytes that are no text\n", 0),
        ("é" * 1_000_000 + "\n```\n", 0),
    ],
    ids=["plain", "failed", "nothing", "a fence", "longer fences", "bytes", "too long for a summary"],
)
def test_the_diff_cannot_break_out_of_its_code_block_and_a_failed_diff_fails(
    tmp_path: Path, printed: str, status: int
) -> None:
    # given a cdk with this output
    (tmp_path / "printed").write_bytes(printed.encode("latin-1" if "\xff" in printed else "utf-8"))

    # when the step runs as GitHub runs it
    run = run_with_cdk(f"cat {shlex.quote(str(tmp_path / 'printed'))}; exit {status}", "diff", tmp_path)

    # then it fails if cdk does, and the summary is one short fenced block that no output can close
    assert run.returncode == status, run.stderr
    opening, *inside, closing = (tmp_path / "summary").read_bytes().rstrip(b"\n").split(b"\n")
    assert opening == closing and re.fullmatch(rb"`{4,}", opening)
    assert max(map(len, re.findall(rb"`+", b"\n".join(inside))), default=0) < len(opening)
    assert b"\n".join(inside).rstrip(b"\n") == (tmp_path / "printed").read_bytes().rstrip(b"\n")[:900_000]
    assert (tmp_path / "summary").stat().st_size < 1024**2


def test_jobs_may_only_read_and_those_that_use_aws_may_request_a_token() -> None:
    assert WORKFLOW["permissions"] == {}
    for name, job in JOBS.items():
        talks_to_aws = any(uses.startswith(TO_AWS) for uses in steps(name, "uses"))
        token = {"id-token": "write"} if talks_to_aws else {}
        assert job["permissions"] == {"contents": "read", **token}
    assert JOBS["test"]["permissions"] == {"contents": "read"}


def test_actions_are_pinned_to_commits_and_checkouts_do_not_keep_the_token() -> None:
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


def test_values_from_github_reach_a_shell_only_as_variables() -> None:
    assert not [run for name in JOBS for run in steps(name, "run") if "${{" in run]


def test_its_make_targets_and_settings_exist_and_the_page_lists_its_variables() -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(run for name in JOBS for run in steps(name, "run"))))
    assert targets and all(re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for name in targets)

    variables = set(re.findall(r"\bvars\.([A-Z_]+)", TEXT))
    page = (ROOT / "docs" / "ci.md").read_text()
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
def test_the_page_s_permissions_allow_only_to_assume_the_bootstrap_roles(role: str) -> None:
    _, allowed = policies()

    assert allowed["Action"] == "sts:AssumeRole"
    assert f"arn:aws:iam::<account>:role/cdk-hnb659fds-{role}-role-<account>-<region>" in allowed["Resource"]
    assert len(allowed["Resource"]) == 3 and "*" not in "".join(allowed["Resource"])
