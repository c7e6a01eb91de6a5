"""HolidayStack with changes for the deploy tests: a CDK app, run as `python -m tests.deploy.variants`.

Context keys that begin with `test:` are the changes; all others are settings, as for app.py.
"""

import inspect
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

from aws_cdk import App, CfnResource, CustomResource
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from holiday_stack.bundling import LAMBDAS
from holiday_stack.settings import Settings
from holiday_stack.stack import HolidayStack
from restate_lambda_cdk import RestateEnvironment

STACK = inspect.getfile(HolidayStack)
PAGE = LAMBDAS.parent / "docs" / "add-a-service.md"
BLOCKS = re.findall(r"```diff\n(.*?)```", PAGE.read_text(), re.DOTALL)
APP = f"{shlex.quote(sys.executable)} -m tests.deploy.variants"
FAILS = """
import json, urllib.request
def handler(event, context):
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    status = "SUCCESS" if event["RequestType"] == "Delete" else "FAILED"
    answer |= {"Status": status, "Reason": "this one always fails", "PhysicalResourceId": "fails"}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def edited(folder: Path, edits: dict[str, tuple[str, str]]) -> Path:
    """Copy the Lambda sources to `folder`, with one text replaced in each of these files of `holiday`."""
    shutil.copytree(LAMBDAS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, change in edits.items():
        edit(folder / "holiday" / name, change)
    return folder


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace these texts in a file that contains each of them exactly once."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{path.name} must contain {old!r} exactly once"
        text = text.replace(old, new)
    path.write_text(text)


def apply(folder: Path, *blocks: str) -> None:
    """Apply the diffs of docs/add-a-service.md, by default all of them, to a copy of the sources."""
    for block in blocks or BLOCKS:
        command = ["git", "apply", "-"]
        subprocess.run(command, cwd=folder, input=block, text=True, capture_output=True, check=True)


def with_hotels(folder: Path, drain: int) -> dict[str, str]:
    """The context for the holiday with the hotels of docs/add-a-service.md. Their table is retained.

    drain: how many seconds the removal of a service waits for unfinished invocations.
    """
    edited(folder / "lambdas", {})
    stack = folder / "holiday_stack" / "stack.py"
    stack.parent.mkdir()
    shutil.copyfile(STACK, stack)
    apply(folder)
    table = "self._table(name.capitalize(), settings.disposable)"
    edit(
        stack,
        (table, table.replace("settings.disposable", 'settings.disposable and name != "hotels"')),
        ("services=[name])", f"services=[name], drain=Duration.seconds({drain}))"),
        ("import CfnOutput, ", "import CfnOutput, Duration, "),
    )
    return {"test:lambdas": str(folder / "lambdas"), "test:stack": str(stack)}


def code_marked(folder: Path, mark: str, **more: tuple[str, str]) -> Path:
    """Sources that show which version ran: each row and each answer has a field `code` with this mark."""
    marks = {
        "bookings.py": (
            '"transaction_status": status} | booking.attributes',
            f'"transaction_status": status, "code": "{mark}"}} | booking.attributes',
        ),
        "messages.py": (
            '    """The answer to a successful reservation."""\n',
            f'    """The answer to a successful reservation."""\n\n    code: str = "{mark}"\n',
        ),
    }
    return edited(folder, marks | {f"{module}.py": edit for module, edit in more.items()})


class AlwaysFails(Construct):
    """A custom resource that fails, once `after` exists, and can be deleted."""

    def __init__(self, scope: Construct, construct_id: str, after: IConstruct) -> None:
        super().__init__(scope, construct_id)
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(FAILS),
        )
        resource = CustomResource(self, "Resource", service_token=function.function_arn)
        resource.node.add_dependency(after)


def trust(restate: RestateEnvironment, principal: str) -> None:
    """Let this principal assume the invoker role instead of Restate Cloud. The rest of the trust policy stays.

    AWS compares `aws:PrincipalArn` with the ARN of a session's role, the emulator with that of the session.
    """
    assert restate.invoker_role
    role = cast(CfnResource, restate.invoker_role.node.default_child)
    where = "AssumeRolePolicyDocument.Statement.0.Condition.StringEquals.aws:PrincipalArn"
    role.add_property_override(where, principal)


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    if "test:cloud" in context:  # as for Restate Cloud, but at another address
        settings = Settings(**json.loads(context["test:cloud"]), bundle_for="host", ingress_url=context["ingressUrl"])
    else:
        settings = Settings.from_context(context)
    made_by: type[HolidayStack] = runpy.run_path(context.get("test:stack", STACK))["HolidayStack"]
    stack = made_by(app, settings.stack_name, settings, lambdas=Path(context.get("test:lambdas", LAMBDAS)))
    if "test:fails" in context:
        AlwaysFails(stack, "Fails", after=stack.node.find_child("Restate-TripsService"))
    if "test:principal" in context:
        trust(stack.restate, context["test:principal"])
    app.synth()


if __name__ == "__main__":
    main()
