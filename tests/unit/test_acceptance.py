"""What the acceptance report reveals, and where the command gets its credentials."""

import re
import sys
from pathlib import Path

import pytest

from acceptance.__main__ import RESTATE_CLOUD, main
from acceptance.aws import AwsSite
from acceptance.report import Result, page, redact
from acceptance.sites import Site
from demo.cloud import HolidayCloud
from holiday_stack.settings import NAMES, Settings
from localcloud.clients import Clients
from localcloud.ports import Ports

ROOT = Path(__file__).parents[2]
KEY = "key_1abcdefghijklmnop"


def test_the_report_contains_no_key_account_or_environment() -> None:
    said = (
        f"401 for {KEY} at https://201hy10cd3.env.eu.restate.cloud:9070, which is env_201hy10cd3,\n"
        "of arn:aws:lambda:eu-west-1:111122223333:function:acceptance-1"
    )

    assert redact(said, KEY) == (
        "401 for <key> at https://<environment>.env.eu.restate.cloud:9070, which is <environment>, "
        "of arn:aws:lambda:eu-west-1:<account>:function:acceptance-1"
    )


def test_the_report_does_not_say_who_ran_it_or_where_their_restate_is() -> None:
    said = (
        f"cdk deploy failed; see {Path.home()}/holiday/cdk.log: -c adminUrl=https://Restate.shop.example:9070 "
        "-c notificationEmail=ann.b+c@shop.example ASIAABCDEFGHIJKLMNOP is not allowed, "
        "arn:aws:sts::111122223333:assumed-role/Admin/ann@shop.example, aws-cdk@2.1148.1, http://127.0.0.1:8080"
    )

    urls = ("https://restate.shop.example", "https://restate.shop.example:9070", "http://127.0.0.1:8080")
    assert redact(said, None, *urls) == (
        "cdk deploy failed; see ~/holiday/cdk.log: -c adminUrl=https://<restate>:9070 "
        "-c notificationEmail=<e-mail> <access key> is not allowed, "
        "arn:aws:sts::<account>:assumed-role/Admin/<e-mail>, aws-cdk@2.1148.1, http://127.0.0.1:8080"
    )


@pytest.mark.parametrize("arguments", [["--ingress", ""], ["--admin", "https://restate.example.com:9070"]])
def test_a_run_that_was_meant_for_aws_does_not_become_a_local_one(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["acceptance", "--yes", *arguments])
    cloud = HolidayCloud(tmp_path / "cloud", Ports.free())
    monkeypatch.setattr(cloud, "start", lambda: pytest.fail("it started a local cloud"))

    try:
        assert main(cloud) == 1
    except SystemExit as error:
        assert error.code == 2
    assert not list(tmp_path.glob("acceptance-*"))


def test_the_report_has_a_line_for_each_check_and_each_resource_left_behind() -> None:
    results = [Result("first deployment", "ok", "Restate has a|b", 1.25), Result("removal", "not run")]
    text = page("acceptance-1", "AWS, eu-west-1", {"Restate": "1.8.0"}, results, "interrupted", ["the queue: why"])

    assert "| first deployment | ok | Restate has a\\|b | 1.2 |\n| removal | not run |" in text
    assert text.startswith("# acceptance-1: interrupted\n") and "AWS, eu-west-1, 1 s of checks" in text
    assert text.endswith("Left behind:\n- the queue: why\n")


def test_the_environment_of_restate_cloud_is_read_from_the_ingress_url() -> None:
    found = RESTATE_CLOUD.fullmatch("https://201hy10cd3.env.eu.restate.cloud:8080")

    assert found and (found["id"], found["region"]) == ("201hy10cd3", "eu")
    assert not RESTATE_CLOUD.fullmatch("https://201hy10cd3.env.eu.restate.cloud.example.com")
    assert not RESTATE_CLOUD.fullmatch("http://201hy10cd3.env.eu.restate.cloud:8080")


def test_environment_files_do_not_affect_the_settings_of_a_run(tmp_path: Path) -> None:
    site = Site("acceptance-1", "", "", Clients(str), {"adminUrl": "https://restate.example.com:9070"}, tmp_path)

    of_cdk_json = {"environment": "production"}
    assert Settings.from_context(of_cdk_json | site.settings).stack_name == "acceptance-1-HolidayStack"


def test_no_setting_makes_a_run_use_a_stack_or_restate_other_than_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # given every setting, of which a few only change how the run's own stack is built
    allowed = {"alarmTopicArn", "notificationEmail", "bundleFor", "pythonRuntime"}
    cloud = HolidayCloud(tmp_path / "cloud", Ports.free())
    monkeypatch.setattr(cloud, "locked", lambda: pytest.fail("the run continued"))

    # when one of the others is passed, then the run rejects it before it does anything
    for name in {*NAMES, "environment"} - allowed:
        monkeypatch.setattr(sys, "argv", ["acceptance", "-c", f"{name}=https://production.example.com:9070"])
        with pytest.raises(SystemExit):
            main(cloud)
        assert f"{name} is set by the run itself: leave it out" in capsys.readouterr().err


def test_what_clean_up_cannot_remove_is_named_with_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an AWS and a Restate that no longer answer
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1", "AWS_REGION": "eu-west-1"}
    for name, value in (variables | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}).items():
        monkeypatch.setenv(name, value)
    nowhere = ("http://127.0.0.1:1", "http://127.0.0.1:1", KEY)
    site = AwsSite("acceptance-1", nowhere, {}, {}, tmp_path)

    # when the run cleans up, then each resource is named, with the secret, which deregistration needs, last
    left = site.clean_up()
    assert len(left) == len(site.removals())
    assert "aws cloudformation delete-stack --stack-name acceptance-1-HolidayStack" in left[0]
    assert "kept" in left[-1] and "delete-secret" in left[-1]


def test_only_one_module_passes_on_the_caller_s_own_credentials() -> None:
    folders = ("acceptance", "comparison", "demo", "dependencies", "localcloud")
    sources = {path: path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")}
    made = re.compile(r"boto3\.(Session|client|resource)\(")
    found = {path.name for path, text in sources.items() if made.search(text) and "lambdas" not in path.parts}

    assert found == {"aws.py", "environment.py"}, "environment.py's credentials are fake"
