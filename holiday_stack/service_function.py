"""The function that serves one of the holiday's services: a role that can do nothing but log, a log group of its own,
JSON logs, versions that are kept, and the CPU that the wheels in its package are for."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct


class ServiceFunction(lambda_.Function):
    """service: its name, which is that of its module. code: the package that it is in, for this `runtime`.
    environment: the variables, which name what the function owns.
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
            timeout=Duration.seconds(10),  # Restate retries, so a function that hangs is better cut off early
            memory_size=1024,  # a cold start is imports, so CPU: a second here, four times that at 256 MB
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
                reason="The default is the newest that will do, and an older one is somebody's choice.",
            )
        )
