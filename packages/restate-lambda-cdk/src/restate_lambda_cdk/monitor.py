"""Looks for stuck invocations on a schedule, publishes metrics and defines alarms.

Restate retries an invocation that fails, by default without end, and Lambda counts most of these failures as successes.
If the function is never reached, because a role, version or payload is wrong, nothing appears in AWS at all. Only
Restate knows, so the monitor asks Restate.
"""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from . import interfaces, monitor_alarms, monitor_names, policies
from .acknowledgments import acknowledge
from .environment import RestateEnvironment
from .handler_function import handler_function

NAMESPACE = "Restate"
STUCK, OLDEST_AGE, DURATION = "StuckInvocations", "OldestStuckInvocationAge", "InvocationDuration"


class InvocationMonitor(Construct):
    """A scheduled function that publishes how many invocations are stuck in Restate, and for how long.

    An invocation is stuck if it keeps failing, is paused or has not started, and has made no progress for `threshold`.
    One that waits for a call it made is not stuck, but the callee is; one that is queued behind another is stuck too.

    Metrics are in the namespace `Restate`, with the stack's name and this construct's path in it as the dimension
    `Monitor`:

    - `StuckInvocations` and `OldestStuckInvocationAge` (seconds), 0 if nothing is stuck. Each service with stuck
      invocations also has both with the dimension `Service`.
    - `InvocationDuration` (milliseconds) with the dimension `Handler`, for the handlers in `durations`, whenever
      invocations of them succeed. Includes time in queues, retries and waiting.

    Args:
        environment: The Restate environment to watch.
        services: Names of the services to watch. Default: all, including those registered later or by others.
        threshold: How long an invocation may make no progress, in whole seconds. Default: 5 minutes.
        interval: How often to check. Default: 1 minute, the shortest EventBridge allows. Alarms fire 2 checks after the
            threshold. Checks cost next to nothing compared with the metrics and alarms.
        durations: Handlers, such as `greeter/greet`, whose successful invocations are timed. All keys of a virtual
            object share one metric. Restate must keep completed invocations for longer than the interval plus one
            minute, as it does by default. Default: none. At most 20, which fit into one CloudWatch request.
        vpc: The VPC to run the function in, from where it must reach the admin API, CloudWatch and, if there is an API
            key, Secrets Manager. Default: none.
        vpc_subnets: Its subnets in the VPC. Default: CDK's choice.
        security_groups: Its security groups in the VPC. Default: a new one.
        role: The execution role, which gets the permissions it needs. Default: a new role that can write logs.
        tracing: X-Ray tracing mode. Default: none.
        log_group: Default: a group with a retention of one month that is deleted with the stack.
        architecture: Default: arm64.
        runtime: Python 3.11 or newer. Default: 3.13.
        timeout: Time limit of one check, at most 15 minutes; half a minute of it is kept for the last request and for
            publishing, and until then a check retries while Restate does not answer. Default: 1 minute.
        environment_encryption: KMS key for the function's variables, none of which is secret. Default: an AWS managed
            key.
        function_options: Any other option of CDK's `Function`, such as `memory_size` or `function_name`.

    Attributes:
        function (Function): The Lambda function, whose log says why a check failed.
        role (IRole): Its execution role: the given one, or a new one.
        alarms (list[Alarm]): What `add_alarms` created. Empty before.
        environment (RestateEnvironment): The Restate environment that is watched.
        services (list[str]): Names of the services that are watched, sorted. Empty: all.
        threshold (Duration): How long an invocation may make no progress.
        interval (Duration): How often it checks.
        durations (list[str]): The handlers whose successful invocations are timed, sorted.

    Raises:
        ValueError: The environment is Restate Cloud without an API key, a name is malformed, the runtime is not
            supported, the timeout is too long, or `function_options` sets one of the arguments above or `code`,
            `handler`, `retry_attempts` or `max_event_age`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: RestateEnvironment,
        services: Sequence[str] | None = None,
        threshold: Duration | None = None,
        interval: Duration | None = None,
        durations: Sequence[str] = (),
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
        if environment.is_cloud and not environment.auth_token:
            raise ValueError(f"{environment.node.path} needs an api_key to be monitored.")
        services, durations = monitor_names.listed(services), monitor_names.listed(durations) or ()
        monitor_names.refuse_services(services)
        monitor_names.refuse_durations(durations)
        self.environment = environment
        self.services = sorted({*(services or ())})
        self.threshold = threshold or Duration.minutes(5)
        self.interval = interval or Duration.minutes(1)
        self.durations = sorted({*durations})
        self.function, self.role = handler_function(
            self,
            noun="the monitor",
            # The next check comes anyway, and a late one says nothing of its own time.
            own={"handler": "monitor.check.handler", "max_event_age": Duration.minutes(1), "retry_attempts": 0},
            defaults={"description": f"Looks for stuck invocations in {environment.node.path}"},
            keep_logs=False,
            function_options=function_options,
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            security_groups=security_groups,
            role=role,
            tracing=tracing,
            log_group=log_group,
            architecture=architecture,
            runtime=runtime,
            timeout=timeout or Duration.minutes(1),
            environment_encryption=environment_encryption,
        )
        for name, value in self._variables().items():
            self.function.add_environment(name, value)
        self._grant()
        target = targets.LambdaFunction(self.function)  # pyright: ignore[reportArgumentType]
        events.Rule(self, "Schedule", schedule=events.Schedule.rate(self.interval), targets=[target])  # pyright: ignore[reportArgumentType]
        self.alarms: list[cloudwatch.Alarm] = []

    def metric_stuck(self, service: str | None = None) -> cloudwatch.Metric:
        """The number of stuck invocations.

        Args:
            service: One service, which has data only while invocations of it are stuck. Default: all watched services.

        Returns:
            The metric: the most that a check found in each period of `interval`, a count.
        """
        return self._metric(STUCK, cloudwatch.Unit.COUNT, {"Service": service} if service else {})

    def metric_oldest_age(self, service: str | None = None) -> cloudwatch.Metric:
        """How long the oldest stuck invocation has been stuck, in seconds.

        Args:
            service: One service, which has data only while invocations of it are stuck. Default: all watched services.

        Returns:
            The metric: the longest that a check found in each period of `interval`, in seconds.
        """
        return self._metric(OLDEST_AGE, cloudwatch.Unit.SECONDS, {"Service": service} if service else {})

    def metric_duration(self, handler: str, *, statistic: str = "p99") -> cloudwatch.Metric:
        """How long successful invocations of a handler took, in milliseconds. Has data only while some complete.

        Args:
            handler: One of `durations`.
            statistic: A CloudWatch statistic. Default: `p99`.

        Returns:
            The metric: that statistic over each period of `interval`, in milliseconds.

        Raises:
            ValueError: The handler is not one of `durations`, so the metric would never have data.
        """
        if handler not in self.durations:
            raise ValueError(
                f"handler must be one of the durations of {self.node.path}, {self.durations}, but is {handler!r}."
            )
        return self._metric(DURATION, cloudwatch.Unit.MILLISECONDS, {"Handler": handler}, statistic)

    def add_alarms(self, *actions: interfaces.AlarmAction, runbook: str = "") -> list[cloudwatch.Alarm]:
        """Create two alarms, which `alarms` holds from then on.

        `Stuck` fires when 2 checks in a row find something stuck, and clears with the first check that finds nothing.
        `NotRunning` fires when 3 checks in a row have failed or did not run. It may fire once before the first check,
        because there is no data yet.

        Args:
            actions: What each alarm does when it fires, such as `SnsAction(topic)`.
            runbook: A sentence that ends the text of `Stuck`: where your team looks next. Default: none.

        Returns:
            The two alarms.
        """
        self.alarms = [monitor_alarms.stuck(self, runbook), monitor_alarms.not_running(self)]
        for alarm in self.alarms:
            alarm.add_alarm_action(*actions)  # pyright: ignore[reportArgumentType]
        return self.alarms

    def _metric(
        self, name: str, unit: cloudwatch.Unit, dimensions: dict[str, str], statistic: str = "Maximum"
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"Monitor": monitor_names.dimension(self)} | dimensions,
            statistic=statistic,
            period=self.interval,
            unit=unit,
        )

    def _variables(self) -> dict[str, str]:
        secret = self.environment.auth_token
        variables = {
            "MONITOR": monitor_names.dimension(self),
            "ADMIN_URL": self.environment.admin_url,
            "THRESHOLD_SECONDS": f"{self.threshold.to_seconds():.0f}",
            "SERVICES": ",".join(self.services),
            "AUTH_TOKEN_SECRET_ARN": secret.secret_arn if secret else "",
            "AUTH_TOKEN_SECRET_IS_PARTIAL": "true" if secret and not secret.secret_full_arn else "",
            "INSECURE": "true" if self.environment.insecure else "",
            "DURATIONS": ",".join(self.durations),
            "INTERVAL_SECONDS": f"{self.interval.to_seconds():.0f}" if self.durations else "",
        }
        return {name: value for name, value in variables.items() if value}

    def _grant(self) -> None:
        # CloudWatch knows no narrower resource than all metrics of a namespace.
        publishing = iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        )
        policy = policies.policy_for(self.role, self, "Publish")
        policy.add_statements(publishing)
        acknowledge(policy, "AwsSolutions-IAM5[Resource::*]", "Metrics have no ARNs: the namespace is the narrowest.")
        if self.environment.auth_token:
            policies.read_key(Stack.of(self), self.role, self.environment.auth_token)
