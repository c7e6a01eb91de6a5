"""The README and docs/: their code synthesizes, and what they say about options and messages is true."""

import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_secretsmanager import Secret
from aws_cdk.aws_sns import Topic

import restate_lambda_cdk
from restate_lambda_cdk import (
    InvocationMonitor,
    RestateCloudEnvironment,
    RestateServer,
    ServiceDeployer,
    follow_references,
)
from restate_lambda_cdk.monitor_alarms import CHECKS_UNTIL_ALARM
from stacks import function

PACKAGE = Path(__file__).parents[1]
README = (PACKAGE / "README.md").read_text()
MONITOR = (PACKAGE / "docs" / "monitor.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README + MONITOR, re.DOTALL)
APP = next(code for code in PYTHON if "app.synth()" in code)
NOT_OF_CDK = (
    "app.synth()",
    "import restate\n",
    "import httpx",
)  # the quick start, which has its own test; the test with the fixture, which the greeter has
SNIPPETS = [code for code in PYTHON if not any(text in code for text in NOT_OF_CDK)]
IMPORTS = """
from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_secretsmanager import ISecret, Secret
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_sns import ITopic
from restate_lambda_cdk import InvocationMonitor, RestateCloudEnvironment, RestateServer, ServiceDeployer
"""
THEIRS = {
    **dict.fromkeys(("stack", "platform", "tools"), "Stack"),
    **dict.fromkeys(("function", "flights_function", "trips_function"), "lambda_.Function"),
    **dict.fromkeys(("api_key_arn", "invoker_role_arn"), "str"),
    **{"vpc": "ec2.Vpc", "admin_clients": "ec2.SecurityGroup", "api_key": "ISecret"},
    **{"restate": "RestateServer", "deployer": "ServiceDeployer", "topic": "ITopic"},
}
SOURCES = "\n".join(path.read_text() for path in (PACKAGE / "src").rglob("*.py"))


def run(code: str, names: dict[str, Any], package: Path) -> dict[str, Any]:
    """The names that the code defines, with an environment's id, and `package` in place of `build`: jsii has its own
    working directory."""
    code = code.replace("env_…", "env_1").replace('from_asset("build")', f"from_asset({str(package)!r})")
    exec(code, names)
    return names


def test_the_quick_start_registers_the_greeter(tmp_path: Path) -> None:
    app = run(APP, {}, tmp_path)

    (registration,) = (each for each in app["stack"].node.children if "services" in dir(each))
    assert registration.services == ["greeter"]


@pytest.mark.parametrize("code", SNIPPETS)
def test_the_other_snippets_synthesize(code: str, tmp_path: Path) -> None:
    app = App(analytics_reporting=False)
    stack, platform, tools = (Stack(app, name) for name in ("Stack", "Platform", "Tools"))
    role = "arn:aws:iam::111122223333:role/restate-invoker"
    api_key = Secret.from_secret_name_v2(stack, "Key", "restate-api-key")
    vpc = ec2.Vpc(stack, "Vpc")
    names: dict[str, Any] = {
        **{"Secret": Secret, "iam": iam, "lambda_": lambda_, "CfnOutput": CfnOutput, "RemovalPolicy": RemovalPolicy},
        **{"RestateCloudEnvironment": RestateCloudEnvironment, "RestateServer": RestateServer},
        **{"ServiceDeployer": ServiceDeployer, "follow_references": follow_references},
        **{"InvocationMonitor": InvocationMonitor, "SnsAction": SnsAction, "topic": Topic(stack, "Topic")},
        **{"stack": stack, "platform": platform, "tools": tools, "vpc": vpc, "api_key": api_key},
        **{
            "function": function(stack),
            "flights_function": function(stack, "F"),
            "trips_function": function(stack, "T"),
        },
        "admin_clients": ec2.SecurityGroup(stack, "AdminClients", vpc=vpc),
        "api_key_arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:restate-api-key-abcdef",
        "invoker_role_arn": role,
    }
    if "ServiceDeployer(" not in code:
        names["deployer"] = ServiceDeployer(stack, "Its")
    if "restate = " not in code:
        names["restate"] = RestateServer(stack, "There", admin_url="https://restate.example.com:9070")

    run(code, names, tmp_path)
    app.synth()


@pytest.mark.parametrize(
    ("what", "table"),
    [
        (RestateCloudEnvironment.__init__, "RestateCloudEnvironment"),
        (RestateServer.__init__, "RestateServer"),
        (ServiceDeployer.__init__, "ServiceDeployer"),
        (ServiceDeployer.register, "register"),
        (InvocationMonitor.__init__, "InvocationMonitor"),
    ],
)
def test_its_tables_have_every_option(what: Any, table: str) -> None:
    options = [name for name, each in inspect.signature(what).parameters.items() if each.kind is each.KEYWORD_ONLY]
    (rows,) = re.findall(rf"^\| `{table}` \| default .*\n((?:\|.*\n)+)", README + MONITOR, re.MULTILINE)

    assert re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) == options


@pytest.mark.slow
def test_a_strict_type_checker_accepts_its_code(tmp_path: Path) -> None:
    # given the quick start, and each snippet in a function, as an app would have it
    for number, code in enumerate(SNIPPETS):
        imports = [line for line in code.splitlines() if line.startswith("from ")]
        rest = "\n".join(line for line in code.splitlines() if line not in imports)
        theirs = [f"{name}: {kind}" for name, kind in THEIRS.items() if f"{name} = " not in code]
        function = f"def build({', '.join(theirs)}) -> None:\n{textwrap.indent(rest, '    ')}\n"
        (tmp_path / f"snippet{number}.py").write_text("\n".join([IMPORTS, *imports, function]))
    (tmp_path / "quick_start.py").write_text(APP)
    unused = {f"reportUnused{each}": False for each in ("Import", "Variable")}
    settings = {"typeCheckingMode": "strict", **unused}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))

    # when they are checked
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(run.stdout)

    # then nothing is found
    assert report["summary"]["filesAnalyzed"] == len(SNIPPETS) + 1
    assert [f"{Path(each['file']).name}: {each['message']}" for each in report["generalDiagnostics"]] == []


def test_it_names_everything_that_an_app_calls() -> None:
    called = {*restate_lambda_cdk.__all__} - {"HANDLER", "RestateEnvironment"}  # a path, and the base class

    assert [name for name in sorted(called) if name not in README + MONITOR] == []


def test_the_messages_that_it_explains_are_in_the_code() -> None:
    trouble = README.partition("## Troubleshooting")[2].partition("Three pitfalls")[0]
    shown = [
        text for row in re.findall(r"^\| (`.*?) \|", trouble, re.MULTILINE) for text in re.findall(r"`(.*?)`", row)
    ]
    code = re.sub(r'"\s*(?:r?f)?"', "", re.sub(r"\{[^{}]*\}", "…", SOURCES))

    assert len(shown) > 30
    parts = {part.strip(" ().:,;") for text in shown for part in re.split("…", text)}
    assert [part for part in sorted(parts) if part not in code] == []


def test_what_it_says_about_the_alarms_is_true() -> None:
    fires = dict(re.findall(r"^\| `(\w+)` \| when (\d) checks in a row", MONITOR, re.MULTILINE))

    assert fires == {name: str(checks) for name, checks in CHECKS_UNTIL_ALARM.items()}


def test_the_costs_of_the_monitor_add_up() -> None:
    costs = MONITOR.partition("## What it costs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .* \| ([\d,]+) \S ([\d.]+) \| ([\d.]+) \|$", costs, re.MULTILINE)
    exact = [int(quantity.replace(",", "")) * float(price) for quantity, price, _ in rows]

    assert len(rows) == 7
    assert [f"{each:.2f}" for each in exact] == [shown for *_, shown in rows]
    assert f"| all | | {sum(exact):.2f} |" in costs
    assert f"all of it is {sum(exact[:5]) / 5 + sum(exact[5:]):.2f}" in costs
    (of_a_metric,) = re.findall(r"^\| metrics \| 2 \S ([\d.]+)", costs, re.MULTILINE)
    assert f"A handler in `durations` adds a metric, {of_a_metric}," in costs
