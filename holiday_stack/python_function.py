"""A Python function with what every function here has: a role that can do nothing but log, a log group of its own,
JSON logs, versions that are kept, and the CPU that the wheels in its package are for."""

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
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
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
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
            role=role,  # pyright: ignore[reportArgumentType]
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # Two lines of Lambda's own for each run would be over half of all that is logged. Failed runs keep theirs.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            runtime=runtime,
            architecture=lambda_.Architecture.ARM_64,
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="AwsSolutions-L1",
                reason="RUNTIME is the newest that will do, and an older one is somebody's choice.",
            )
        )

    def allow(self, *actions: str, on: str) -> None:
        """Let the function do exactly these actions on exactly this resource (an ARN)."""
        self.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=[on]))
