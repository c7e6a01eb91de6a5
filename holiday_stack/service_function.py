"""The function of one of the holiday's services: a role that can only write logs, its own log group, JSON logs,
retained versions, and the CPU that the wheels in its package are for."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct


class ServiceFunction(lambda_.Function):
    """The function that serves one service.

    Args:
        service: Its name, which is also its module's.
        runtime: The Python that the package is for.
        code: The package.
        environment: The variables with the names of the function's table or topic.
    """

    def __init__(
        self,
        scope: Construct,
        service: str,
        *,
        runtime: lambda_.Runtime,
        code: lambda_.Code,
        environment: Mapping[str, str],
    ) -> None:
        construct_id = f"{service.capitalize()}Service"
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
            description=f"Restate service {service}",
            code=code,
            handler=f"holiday.{service}.handler",
            timeout=Duration.seconds(10),  # Restate retries, so cut off a hanging function early
            memory_size=1024,  # a cold start is imports, so CPU: one second here, four at 256 MB
            environment=environment,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
            role=role,  # pyright: ignore[reportArgumentType]
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # Lambda's own two lines for each run would be over half of the log. Failed runs keep theirs.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            runtime=runtime,
            architecture=lambda_.Architecture.ARM_64,
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="AwsSolutions-L1",
                reason="The default is the newest supported one. An older one is set on purpose.",
            )
        )
