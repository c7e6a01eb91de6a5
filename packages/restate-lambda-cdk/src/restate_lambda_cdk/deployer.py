"""The Lambda function that registers services with Restate, and the call that a stack makes to use it."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from . import interfaces
from .environment import RestateEnvironment
from .handler_function import handler_function
from .registration import ServiceRegistration

# How long Lambda may hold back an event while the function is throttled. Older ones are dropped, because CloudFormation
# may have moved on.
MAX_EVENT_AGE = Duration.minutes(5)


class ServiceDeployer(Construct):
    """The Lambda function that registers services with Restate. An app needs one, in any of its stacks.

    Args:
        vpc: The VPC to run the function in, from where it must reach the admin API, S3 (for CloudFormation's response)
            and, if there is an API key, Secrets Manager. Without access to the Lambda API it cannot compare a version's
            variables, and logs that. Default: none.
        vpc_subnets: Its subnets in the VPC. Default: CDK's choice.
        security_groups: Its security groups in the VPC. Default: a new one.
        role: The execution role, which gets the permissions it needs. Default: a new role that can write logs.
        tracing: X-Ray tracing mode. Default: none.
        log_group: Default: a group with a retention of one month. It outlives the stack, because only its entries say
            what a removal left in Restate.
        architecture: Default: arm64.
        runtime: Python 3.11 or newer. Default: 3.13.
        timeout: How long one registration or removal waits for Restate, after which a deployment fails and says what
            it waited for. Default: 5 minutes. At most 15 minutes, Lambda's limit.
        environment_encryption: KMS key for the function's variables, of which there are none by default. Default: an
            AWS managed key.
        function_options: Any other option of CDK's `Function`, such as `memory_size` or `function_name`.

    Attributes:
        function (Function): The Lambda function, whose log says what it registered and removed.
        role (IRole): Its execution role: the given one, or a new one.
        timeout (Duration): The time-out of one registration or removal.
        service_timeout (Duration): How long CloudFormation waits for the function's response: `timeout`, plus the 5
            minutes for which Lambda may hold back the event, plus a minute.

    Raises:
        ValueError: The runtime is not supported, the timeout is too long, or `function_options` sets one of the
            arguments above or `code`, `handler`, `retry_attempts` or `max_event_age`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc | None = None,
        vpc_subnets: ec2.SubnetSelection | None = None,
        security_groups: Sequence[ec2.ISecurityGroup] | None = None,
        role: interfaces.Role | None = None,
        tracing: lambda_.Tracing | None = None,
        log_group: logs.ILogGroup | None = None,
        architecture: lambda_.Architecture = lambda_.Architecture.ARM_64,
        runtime: lambda_.Runtime = lambda_.Runtime.PYTHON_3_13,
        timeout: Duration | None = None,
        environment_encryption: interfaces.Key | None = None,
        function_options: lambda_.FunctionOptions | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.timeout = timeout or Duration.minutes(5)
        self.service_timeout = MAX_EVENT_AGE.plus(self.timeout).plus(Duration.minutes(1))
        self.function, self.role = handler_function(
            self,
            noun="the deployer",
            own={
                "handler": "registration.cloudformation.handler",
                "max_event_age": MAX_EVENT_AGE,
                "retry_attempts": 0,  # a second attempt, minutes later, could revert what CloudFormation did meanwhile
            },
            defaults={"description": "Registers function versions with Restate"},
            keep_logs=True,
            function_options=function_options,
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            security_groups=security_groups,
            role=role,
            tracing=tracing,
            log_group=log_group,
            architecture=architecture,
            runtime=runtime,
            timeout=self.timeout,
            environment_encryption=environment_encryption,
        )

    def register(
        self,
        version: interfaces.Version,
        *,
        environment: RestateEnvironment,
        services: Sequence[str],
        after: Sequence[ServiceRegistration] = (),
        allow_breaking_changes: bool = False,
        take_over: bool = False,
        drain: Duration | None = None,
        skip_invoke_grant: bool = False,
    ) -> ServiceRegistration:
        """Register a published version, so that `environment` sends new invocations of its services to it.

        Args:
            version: `function.current_version`, or a version that is imported or created by hand, of any runtime and
                architecture. It is retained. With `current_version`, replacing a resource that its variables refer to,
                such as a table, publishes a new version.
            environment: Where to register it.
            services: The names of all services that the function offers. The deployment fails if it offers more or
                fewer.
            after: Registrations that must come first: those of the services that these services call. Default: none.
                The removal of such a service waits for unfinished work of these services on older versions.
            allow_breaking_changes: Accept that a handler is removed or that a service changes its type. Default: False,
                and the deployment fails, because callers and invocations in flight may need what is gone.
            take_over: Take services from the other function, or HTTP server, that serves them now. Default: False, and
                the deployment fails, because two stacks would claim one service. The next deployment of the previous
                owner fails.
            drain: How long a removal waits for work in flight before it kills what is left of these services. Default:
                2 minutes. At least 45 seconds shorter than the deployer's `timeout`.
            skip_invoke_grant: Do not allow the environment's invoker role to invoke the function. Default: False. If
                True, it must be allowed to invoke `<function>:*` from before this registration until after its removal.

        Returns:
            The registration, which others can list in `after`.

        Raises:
            ValueError: `version` is an alias or `$LATEST`, the function is already registered with this environment,
                another function serves one of the services, `drain` is too long, or Restate Cloud could not invoke the
                function.
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
