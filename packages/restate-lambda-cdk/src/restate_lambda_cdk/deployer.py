"""The function that registers services with Restate, and what a stack asks of it."""

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

# How long Lambda may hold an event back while the function is throttled. An older one is dropped: CloudFormation may
# have gone on by the time it is done.
MAX_EVENT_AGE = Duration.minutes(5)


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
