"""Creates the Lambda functions of this package, whose code is in `handler/`."""

import inspect
import re
import shutil
import tempfile
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from . import interfaces, policies
from .acknowledgments import acknowledge

HANDLER = Path(__file__).resolve().parent / "handler"
"""The functions' source folder (a `Path`), which needs only the standard library and the Lambda runtime's boto3."""

SOURCES = ("*.py", "*.sql")
LONGEST_TIMEOUT = Duration.minutes(15)  # Lambda's


def handler_function(
    scope: Construct,
    *,
    noun: str,
    own: Mapping[str, Any],
    defaults: Mapping[str, Any],
    keep_logs: bool,
    function_options: lambda_.FunctionOptions | None,
    vpc: ec2.IVpc | None,
    runtime: lambda_.Runtime,
    timeout: Duration,
    role: interfaces.Role | None,
    log_group: logs.ILogGroup | None,
    **others: Any,
) -> tuple[lambda_.Function, interfaces.Role]:
    """Create a construct's function, and the role and log group that it was not given.

    Args:
        noun: What error messages call the construct.
        own: Properties that only the construct sets.
        defaults: Properties that `function_options` may override.
        keep_logs: Whether a log group that is created here outlives the stack.

    Raises:
        ValueError: `function_options` sets an argument of the construct or a property in `own`, or Lambda cannot run
            this with the given runtime or time-out.
    """
    _refuse_what_lambda_cannot_run(runtime, timeout)
    if isinstance(function_options, dict):  # as CDK takes its structs, too
        function_options = lambda_.FunctionOptions(**cast("dict[str, Any]", function_options))
    log_group = log_group or _log_group(scope, keep_logs)
    if role:
        _write_log(scope, role, log_group)
    else:
        role = _role(scope)
        log_group.grant_write(role)
    by_name = others | {"vpc": vpc, "runtime": runtime, "timeout": timeout, "role": role, "log_group": log_group}
    general = {"logging_format": lambda_.LoggingFormat.JSON, "memory_size": 256}
    given = _given(function_options, by_name.keys(), {"code", *own}, type(scope).__name__, noun)
    properties: dict[str, Any] = {**general, **defaults, **given, **by_name, **own}
    with _package() as package:
        function = lambda_.Function(scope, "Function", code=lambda_.Code.from_asset(str(package)), **properties)
    if vpc:
        function.node.add_dependency(_network_interfaces(scope, role))
    acknowledge(function, "AwsSolutions-L1", "The default runtime is the tested one; callers may choose another.")
    return function, role


def _refuse_what_lambda_cannot_run(runtime: lambda_.Runtime, timeout: Duration) -> None:
    """Fail at synth: CDK only warns of some of it, and a function that cannot start never answers CloudFormation."""
    version = re.fullmatch(r"python3\.(\d+)", runtime.name)
    if not version or int(version[1]) < 11:
        raise ValueError(f"runtime must be Python 3.11 or newer, but is {runtime.name}.")
    if timeout.to_seconds() > LONGEST_TIMEOUT.to_seconds():
        raise ValueError(f"timeout must be at most 15 minutes, but is {timeout.to_seconds():.0f} seconds.")


def _role(scope: Construct) -> interfaces.Role:
    lambda_service = iam.ServicePrincipal("lambda.amazonaws.com")
    return iam.Role(scope, "Role", assumed_by=lambda_service)  # pyright: ignore[reportArgumentType, reportReturnType]


def _log_group(scope: Construct, keep: bool) -> logs.ILogGroup:
    removal = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY
    return logs.LogGroup(scope, "Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=removal)  # pyright: ignore[reportReturnType]


def _write_log(scope: Construct, role: interfaces.Role, log_group: logs.ILogGroup) -> None:
    """`grant_write` would change the stack of the given role, and make two stacks depend on each other."""
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    write = iam.PolicyStatement(actions=actions, resources=[log_group.log_group_arn])
    policies.policy_for(role, scope, "Log").add_statements(write)


def _network_interfaces(scope: Construct, role: interfaces.Role) -> iam.Policy:
    """CDK grants this only to a role that it creates itself."""
    actions = [
        *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
        *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
    ]
    policy = policies.policy_for(role, scope, "NetworkInterfaces")
    policy.add_statements(iam.PolicyStatement(actions=actions, resources=["*"]))
    acknowledge(
        policy,
        "AwsSolutions-IAM5[Resource::*]",
        "Lambda creates network interfaces with ids that are not known in advance.",
    )
    return policy


@contextmanager
def _package() -> Generator[Path]:
    """Only the sources, readable by Lambda's user: under a strict umask an installation is readable by its owner only,
    and pip leaves bytecode beside them."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "handler"
        for source in (path for pattern in SOURCES for path in HANDLER.rglob(pattern)):
            copy = package / source.relative_to(HANDLER)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        for path in [package, *package.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield package


def _given(
    options: lambda_.FunctionOptions | None, arguments: Collection[str], own: Collection[str], construct: str, noun: str
) -> dict[str, Any]:
    names = inspect.signature(type(options).__init__).parameters if options else ()
    given = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    if clash := sorted(given.keys() & {*arguments, *own}):
        what = f"{noun} sets it itself" if set(clash) & set(own) else f"pass it to {construct} instead"
        raise ValueError(f"function_options must not set {', '.join(clash)}: {what}.")
    return given
