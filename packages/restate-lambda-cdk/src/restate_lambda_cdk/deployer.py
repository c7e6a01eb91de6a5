"""The function that registers services with Restate, and what a stack asks of it."""

import inspect
import re
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from . import either
from .acknowledgments import acknowledge
from .environment import RestateEnvironment
from .registration import ServiceRegistration

HANDLER = Path(__file__).resolve().parent / "handler"
"""The function's package: the standard library and the Lambda runtime's boto3 do."""

# How long Lambda may hold an event back while the function is throttled. An older one is dropped: CloudFormation may
# have gone on by the time it is done.
MAX_EVENT_AGE = Duration.minutes(5)
LONGEST_TIMEOUT = Duration.minutes(15)  # Lambda's
THE_DEPLOYER_S_OWN = ("code", "handler", "retry_attempts", "max_event_age")


class ServiceDeployer(Construct):
    """The Lambda function that registers services with Restate. One will do for an app, in any of its stacks.

    vpc, vpc_subnets, security_groups: run it in a VPC. Default none: it reaches what the internet reaches. In a VPC it
        has to reach the admin API, S3 (CloudFormation's answer goes there) and, for a key, Secrets Manager; without the
        Lambda API it cannot compare a version's variables, and says so in its log.
    role: what it runs as; it is given what it needs. Default: a role that can log.
    tracing: X-Ray. Default none.
    log_group: where it logs. Default: a group that keeps entries for a month and outlives the stack, because only it
        says what a removal had to leave in Restate.
    architecture: Default arm64. No effect on what it does.
    runtime: a Python, 3.11 or newer. Default 3.13.
    timeout: how long one registration, or removal, waits for Restate. Default 5 minutes: a deployment fails after that,
        and says what was waited for. At most 15 minutes, which is Lambda's limit.
    environment_encryption: the key for the function's variables, of which there are none by default.
    function_options: everything else that CDK's Function takes, such as `memory_size` or `function_name`.

    Raises ValueError for another runtime, for a longer timeout, and if `function_options` names what is an argument
    here, or what is the deployer's own: `code`, `handler`, `retry_attempts` and `max_event_age`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        role: either.Role | None = None,
        tracing: lambda_.Tracing | None = None,
        log_group: logs.ILogGroup | None = None,
        architecture: lambda_.Architecture = lambda_.Architecture.ARM_64,
        runtime: lambda_.Runtime = lambda_.Runtime.PYTHON_3_13,
        timeout: Duration | None = None,
        environment_encryption: either.Key | None = None,
        function_options: lambda_.FunctionOptions | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        _refuse_what_lambda_cannot_run(runtime, timeout)
        if isinstance(function_options, dict):  # as CDK takes its structs, too
            function_options = lambda_.FunctionOptions(**cast("dict[str, Any]", function_options))
        self.timeout = timeout or Duration.minutes(5)
        self.service_timeout = MAX_EVENT_AGE.plus(self.timeout).plus(Duration.minutes(1))
        self.role = role or self._role()
        log_group = log_group or logs.LogGroup(
            self,
            "Logs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )  # pyright: ignore[reportAssignmentType]
        assert log_group
        self._write_log(log_group, is_own_role=role is None)
        by_name: dict[str, Any] = {
            "vpc": vpc,
            "vpc_subnets": vpc_subnets,
            "security_groups": security_groups,
            "role": self.role,
            "tracing": tracing,
            "log_group": log_group,
            "architecture": architecture,
            "runtime": runtime,
            "timeout": self.timeout,
            "environment_encryption": environment_encryption,
        }
        options = _options(function_options, {*by_name, *THE_DEPLOYER_S_OWN})
        defaults: dict[str, Any] = {
            "description": "Registers function versions with Restate",
            "logging_format": lambda_.LoggingFormat.JSON,
            "memory_size": 256,
        }
        with _package() as package:
            self.function = lambda_.Function(
                self,
                "Function",
                **(defaults | options | by_name),
                code=lambda_.Code.from_asset(str(package)),
                handler="registration.cloudformation.handler",
                max_event_age=MAX_EVENT_AGE,
                retry_attempts=0,  # a second attempt, minutes later, could undo what CloudFormation did meanwhile
            )
        if vpc:
            self.function.node.add_dependency(self._network_interfaces())
        acknowledge(self.function, "AwsSolutions-L1", "The default is what is tested; another is somebody's choice.")

    def register(
        self,
        version: either.Version,
        *,
        environment: RestateEnvironment,
        services: Sequence[str],
        after: Sequence[ServiceRegistration] = (),
        allow_breaking_changes: bool = False,
        take_over: bool = False,
        drain: Duration | None = None,
        skip_invoke_grant: bool = False,
    ) -> ServiceRegistration:
        """Make a published version the one that `environment` sends new invocations of these services to.

        version: `function.current_version`, or one that is imported or made by hand, of a function on any runtime and
            architecture. It is retained. With `current_version`, what its variables refer to counts: a table or a topic
            that is replaced makes a new version.
        services: all services that the function offers. More or less than that is refused.
        after: registrations that have to stand first; name those of the services that these ones call. Default none.
            When such a service is removed, unfinished work of these ones on older versions is waited for.
        allow_breaking_changes: accept that a handler is gone, or that a service has become another type. Default no:
            the deployment fails, because callers and invocations in flight may need what is gone.
        take_over: take services from another function, or from a server by URL, that serves them now. Default no: the
            deployment fails, because two stacks would answer for one service. Whoever was taken over is refused at its
            own next deployment.
        drain: how long a removal waits for work in flight before it kills what is left of these services. Default 2
            minutes. It has to fit into the deployer's `timeout`.
        skip_invoke_grant: do not let the environment's invoker role invoke the function. Default no. With yes, see to
            it that it may invoke `<function>:*` before this registration, and until after its removal.

        Returns what other registrations can come `after`. Raises ValueError for an alias or `$LATEST`, for a function
        that is registered with this environment already, and where Restate Cloud could not invoke it.
        """
        return ServiceRegistration(
            version.stack,
            version=version,
            environment=environment,
            registrar=self.function,
            registrar_role=self.role,
            timeout=self.timeout,
            service_timeout=self.service_timeout,
            services=services,
            after=after,
            allow_breaking_changes=allow_breaking_changes,
            take_over=take_over,
            drain=drain or Duration.minutes(2),
            skip_invoke_grant=skip_invoke_grant,
        )

    def _role(self) -> either.Role:
        lambda_service = iam.ServicePrincipal("lambda.amazonaws.com")
        return iam.Role(self, "Role", assumed_by=lambda_service)  # pyright: ignore[reportArgumentType, reportReturnType]

    def _write_log(self, log_group: logs.ILogGroup, *, is_own_role: bool) -> None:
        """`grant_write` would change the stack of a role that is given, and close a circle of stacks."""
        if is_own_role:
            log_group.grant_write(self.role)
            return
        actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
        write = iam.PolicyStatement(actions=actions, resources=[log_group.log_group_arn])
        iam.Policy(self, "Log", statements=[write]).attach_to_role(self.role)  # pyright: ignore[reportArgumentType]

    def _network_interfaces(self) -> iam.Policy:
        """CDK gives this permission to a role that it makes itself, and to no other."""
        actions = [
            *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
            *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
        ]
        policy = iam.Policy(
            self, "NetworkInterfaces", statements=[iam.PolicyStatement(actions=actions, resources=["*"])]
        )
        policy.attach_to_role(self.role)  # pyright: ignore[reportArgumentType]
        acknowledge(policy, "AwsSolutions-IAM5[Resource::*]", "Lambda makes network interfaces whose ids nobody knows.")
        return policy


def _refuse_what_lambda_cannot_run(runtime: lambda_.Runtime, timeout: Duration | None) -> None:
    """At synth: a function that cannot start would leave CloudFormation waiting for its answer."""
    version = re.fullmatch(r"python3\.(\d+)", runtime.name)
    if not version or int(version[1]) < 11:
        raise ValueError(f"runtime must be Python 3.11 or newer, and is {runtime.name}.")
    if timeout and timeout.to_seconds() > LONGEST_TIMEOUT.to_seconds():
        raise ValueError(f"timeout must be at most 15 minutes, and is {timeout.to_seconds():.0f} seconds.")


@contextmanager
def _package() -> Generator[Path]:
    """The sources and nothing else, as Lambda's user can read them: an installation under a strict umask is for its
    owner alone, and pip leaves bytecode beside them."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "handler"
        for source in HANDLER.rglob("*.py"):
            copy = package / source.relative_to(HANDLER)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        for path in [package, *package.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield package


def _options(given: lambda_.FunctionOptions | None, taken: set[str]) -> dict[str, Any]:
    names = inspect.signature(type(given).__init__).parameters if given else ()
    options = {name: getattr(given, name) for name in names if getattr(given, name, None) is not None}
    if clash := sorted(options.keys() & taken):
        what = "the deployer's own" if set(clash) & set(THE_DEPLOYER_S_OWN) else "arguments of ServiceDeployer"
        raise ValueError(f"function_options names {', '.join(clash)}, {what}: leave that out there.")
    return options
