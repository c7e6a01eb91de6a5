"""The error of a failed deploy quotes what matters in cdk's output."""

from pathlib import Path

import pytest

from localcloud.deploy import cdk, why
from localcloud.environment import LocalCloudError

FAILED = """
HolidayStack |  23 | 5:43:21 AM | CREATE_FAILED   | Custom::RestateService | CarsRegistration the key was rejected
HolidayStack |  22 | 5:43:21 AM | DELETE_COMPLETE | AWS::DynamoDB::Table   | Cars (Cars156CAF4F)

❌  HolidayStack failed to deploy
‣ DeploymentError: Resource updates failed:
HolidayStack/CarsRegistration (Custom::RestateService)
  the key was rejected: put a current one into the secret
   Logs: https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups
Source Location: ...aws-cdk-lib, jsii runtime, node internals...
                 (no user code in 10 frames, use --stack-trace-limit to capture more)
"""


def test_a_failed_deploy_is_reported_with_cdks_summary_and_not_its_events() -> None:
    said = why(FAILED)

    assert said.splitlines()[0] == "❌  HolidayStack failed to deploy"
    assert said.splitlines()[-1] == "  the key was rejected: put a current one into the secret"


def test_an_app_that_crashes_is_reported_with_its_last_lines() -> None:
    assert why("adminUrl is not a URL\n\nSubprocess exited with error 1\n").splitlines() == [
        "adminUrl is not a URL",
        "Subprocess exited with error 1",
    ]


def test_only_the_failed_run_is_quoted_from_a_log_with_several(tmp_path: Path) -> None:
    # given a log with an earlier run's output, and a cdk that fails
    log = tmp_path / "cdk.log"
    log.write_text("❌  an earlier failure\n")
    false_cdk = tmp_path / "cdk"
    false_cdk.write_text("#!/bin/sh\necho 'this failure' >&2\nexit 1\n")
    false_cdk.chmod(0o755)

    # when it runs, then the error quotes this failure and names the log
    with pytest.raises(LocalCloudError) as failure:
        cdk(["deploy"], {"PATH": str(tmp_path)}, log, lambda _: None)
    assert "this failure" in str(failure.value)
    assert "an earlier failure" not in str(failure.value)
    assert str(log) in str(failure.value)
