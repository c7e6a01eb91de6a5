"""A Python function with what every function here has: a role that can do nothing but log, a log group of its own,
JSON logs, and the CPU that the wheels in its package are for."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

# The newest that is in AWS CDK, has wheels of restate-sdk and runs our tests.
RUNTIME = lambda_.Runtime.PYTHON_3_13


class PythonFunction(lambda_.Function):
    """runtime: the Python that the wheels in the package are for. Default: RUNTIME.
    code, handler: the package, and `module.attribute` in it. The rest is as in CDK's Function.

    logs_outlive_stack: keep the log group when the stack is deleted. Default no. Entries expire after a month anyway.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        runtime: lambda_.Runtime = RUNTIME,
        code: lambda_.Code,
        handler: str,
        timeout: Duration,
        memory_size: int,
        environment: Mapping[str, str] | None = None,
        max_event_age: Duration | None = None,
        retry_attempts: int | None = None,
        logs_outlive_stack: bool = False,
        current_version_options: lambda_.VersionOptions | None = None,
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if logs_outlive_stack else RemovalPolicy.DESTROY,
        )
        # jsii's classes and protocols disagree on parameter names, here and wherever this error is ignored.
        role = iam.Role(
            scope,
            f"{construct_id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),  # pyright: ignore[reportArgumentType]
        )
        log_group.grant_write(role)
        super().__init__(
            scope,
            construct_id,
            description=description,
            code=code,
            handler=handler,
            timeout=timeout,
            memory_size=memory_size,
            environment=environment,
            max_event_age=max_event_age,
            retry_attempts=retry_attempts,
            current_version_options=current_version_options,
            role=role,  # pyright: ignore[reportArgumentType]
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            runtime=runtime,
            architecture=lambda_.Architecture.ARM_64,
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="AwsSolutions-L1",
                reason="RUNTIME is the newest that will do, and an older one is somebody's choice.",
            )
        )
