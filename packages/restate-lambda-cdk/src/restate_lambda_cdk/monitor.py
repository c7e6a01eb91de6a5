"""Looks for stuck invocations on a schedule, publishes metrics, and has alarms.

An invocation that fails is retried by Restate, for ever by default, and to Lambda most failures are no errors; one
whose function is never reached, because a role, a version or a payload is wrong, leaves no trace in AWS at all. Only
Restate knows of them, so it is asked.
"""

import re
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

from . import interfaces, policies
from .acknowledgments import acknowledge
from .environment import RestateEnvironment
from .handler_function import handler_function

NAMESPACE = "Restate"
STUCK, OLDEST_AGE, DURATION = "StuckInvocations", "OldestStuckInvocationAge", "InvocationDuration"
HANDLER_NAME = re.compile(
    r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*/([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*"
)  # Restate's rules
MOST_DURATIONS = 20
"""Handlers whose durations fit into one request to CloudWatch, however much they differ."""
LOOKS_UNTIL_ALARM = {"Stuck": 2, "NotLooking": 3}
"""How many looks in a row have to be bad: a second one, so that no alarm fires for what a retry fixes; a third for a
monitor that fails, because Restate may only be restarting."""


class InvocationMonitor(Construct):
    """A scheduled function that asks Restate which invocations are stuck, and publishes how many and for how long.

    Stuck is what fails and is retried, is paused, or has not begun, and has not got any further for `threshold`. An
    invocation that waits for a call it has made is not stuck: what it called is. What is queued behind another is.

    Metrics in the namespace `Restate`, with the dimension `Monitor`, this construct's path: `StuckInvocations` and
    `OldestStuckInvocationAge`, in seconds. They are 0 when nothing is stuck. A service of which something is stuck has
    both of its own too, with the dimension `Service` besides.

    Each handler in `durations` has `InvocationDuration`, in milliseconds, with the dimension `Handler` besides, while
    invocations of it succeed. That includes queues, retries and whatever they waited for.

    environment: which Restate.
    services: those that count. Default: all that this Restate has, also what is registered later or by others.
    threshold: how long an invocation may get no further. Default 5 minutes. A whole number of seconds.
    interval: how often it looks. Default 1 minute, the shortest that there is. An alarm fires 2 looks after the
        threshold, and what a look costs is next to nothing beside what the metrics and the alarms do.
    durations: handlers, such as `greeter/greet`, of which it publishes how long each invocation took that succeeded. A
        virtual object has one metric for all of its keys. Restate has to keep completed invocations for longer than
        the interval and a minute, as it does by default. Default none. At most 20: CloudWatch bills each.
    vpc, vpc_subnets, security_groups: run it in a VPC. Default none: it reaches what the internet reaches. In a VPC it
        has to reach the admin API, CloudWatch and, for a key, Secrets Manager.
    role: what it runs as; it is given what it needs. Default: a role that can log.
    tracing: X-Ray. Default none.
    log_group: where it logs. Default: a group that keeps entries for a month, and is deleted with the stack.
    architecture: Default arm64. No effect on what it does.
    runtime: a Python, 3.11 or newer. Default 3.13.
    timeout: of one look. Default 1 minute, of which it asks Restate anew for half as long as Restate does not answer.
    environment_encryption: the key for the function's variables, none of which is secret.
    function_options: everything else that CDK's Function takes, such as `memory_size` or `function_name`.

    Raises ValueError for an environment of Restate Cloud without a key, for a malformed name, and if
    `function_options` names what is an argument here, or what is the monitor's own: `code`, `handler`, `retry_attempts`
    and `max_event_age`.
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
            raise ValueError(f"{environment.node.path} has no api_key, without which nothing can be asked there.")
        if isinstance(services, str) or (services is not None and not (services and all(services))):
            raise ValueError(f"services is {services!r}: list those that count, or leave it out for all.")
        wrong = [name for name in durations if not HANDLER_NAME.fullmatch(name)]
        if isinstance(durations, str) or wrong or len({*durations}) > MOST_DURATIONS:
            raise ValueError(
                f"durations is {durations!r}: list up to {MOST_DURATIONS} handlers, each as service/handler "
                "without a key."
            )
        self.environment = environment
        self.services = sorted({*(services or ())})
        self.threshold = threshold or Duration.minutes(5)
        self.interval = interval or Duration.minutes(1)
        self.durations = sorted({*durations})
        self.function, self.role = handler_function(
            self,
            noun="the monitor",
            # The next look comes anyway, and a late one says nothing of its own time.
            own={"handler": "monitor.look.handler", "max_event_age": Duration.minutes(1), "retry_attempts": 0},
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
        """How many invocations are stuck: of all that count, or of one service, which has data only if some are."""
        return self._metric(STUCK, cloudwatch.Unit.COUNT, {"Service": service} if service else {})

    def metric_oldest_age(self, service: str | None = None) -> cloudwatch.Metric:
        """For how many seconds the oldest of them has been stuck, likewise."""
        return self._metric(OLDEST_AGE, cloudwatch.Unit.SECONDS, {"Service": service} if service else {})

    def metric_duration(self, handler: str, *, statistic: str = "p99") -> cloudwatch.Metric:
        """How many milliseconds invocations took, of a handler in `durations`: data only while some complete.

        Raises ValueError for another handler, of which there would never be any.
        """
        if handler not in self.durations:
            raise ValueError(f"{handler!r} is not among the durations of {self.node.path}: {self.durations}.")
        return self._metric(DURATION, cloudwatch.Unit.MILLISECONDS, {"Handler": handler}, statistic)

    def add_alarms(self, *actions: interfaces.AlarmAction, runbook: str = "") -> list[cloudwatch.Alarm]:
        """Make two alarms with these actions, and return them, as `alarms` does from then on.

        One fires when something has been stuck in 2 looks, so at most 2 looks after the threshold, and ends with the
        first look that finds nothing. The other fires when 3 looks have failed or not been made: nothing would be
        noticed. It may fire once before the function has looked for the first time, as there is no data yet.

        runbook: a sentence at the end of the first one's text: where your people look then.
        """
        minutes = f"{self.threshold.to_seconds() / 60:g} minutes"
        of = ", ".join(self.services) or "any service"
        at = f"{self.environment.node.path} ({self.environment.admin_url})"
        stuck = self.metric_stuck().create_alarm(
            self,
            "Stuck",
            alarm_description=f"Invocations of {of} in Restate {at} have been failing, paused or unable to start for "
            f"over {minutes}. They are not lost, but their callers wait. The log of "
            f"{self.function.function_name} counts them by service; Restate's UI and CLI list them with their last "
            f"failure. {runbook}".strip(),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=LOOKS_UNTIL_ALARM["Stuck"],
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,  # no data is what the other alarm is for
        )
        not_looking = self.function.metric_errors(period=self.interval).create_alarm(
            self,
            "NotLooking",
            alarm_description=f"The monitor of stuck invocations in Restate {at}, {self.function.function_name}, "
            "fails or does not run. Its log says why: Restate or CloudWatch cannot be reached, or the API key is "
            "rejected. If the log is silent, its schedule is off, or Lambda throttles it.",
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=LOOKS_UNTIL_ALARM["NotLooking"],
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        self.alarms = [stuck, not_looking]
        for alarm in self.alarms:
            alarm.add_alarm_action(*actions)  # pyright: ignore[reportArgumentType]
        return self.alarms

    def _metric(
        self, name: str, unit: cloudwatch.Unit, dimensions: dict[str, str], statistic: str = "Maximum"
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"Monitor": self.node.path} | dimensions,
            statistic=statistic,
            period=self.interval,
            unit=unit,
        )

    def _variables(self) -> dict[str, str]:
        secret = self.environment.auth_token
        variables = {
            "MONITOR": self.node.path,
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
        policy = iam.Policy(self, "Publish", statements=[publishing])
        policy.attach_to_role(self.role)  # pyright: ignore[reportArgumentType]
        acknowledge(policy, "AwsSolutions-IAM5[Resource::*]", "Metrics have no ARNs: the namespace is the narrowest.")
        if self.environment.auth_token:
            policies.read_key(Stack.of(self), self.role, self.environment.auth_token)
