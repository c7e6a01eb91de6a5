"""The construct that looks for stuck invocations: its function, schedule, permissions, metrics and alarms."""

from datetime import timedelta
from typing import Any

import pytest
from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns

from fake_admin import FakeAdmin
from monitor import check, durations
from monitor.durations import Window
from registration.admin import Admin
from restate_lambda_cdk import InvocationMonitor, RestateCloudEnvironment, RestateServer
from restate_lambda_cdk.monitor import NAMESPACE
from stacks import SERVER, of_action, resources, server, statements


def the(stack: Stack, kind: str) -> dict[str, Any]:
    ((_, found),) = resources(stack, kind).items()
    return found["Properties"]


def variables(stack: Stack) -> dict[str, Any]:
    return the(stack, "AWS::Lambda::Function")["Environment"]["Variables"]


def test_by_default_it_looks_every_minute_for_invocations_of_all_services_stuck_for_five(stack: Stack) -> None:
    InvocationMonitor(stack, "Monitor", environment=server(stack))

    rule, found = the(stack, "AWS::Events::Rule"), the(stack, "AWS::Lambda::Function")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    assert len(rule["Targets"]) == 1
    assert found["Handler"] == "monitor.check.handler"
    assert variables(stack) == {"MONITOR": "Stack/Monitor", "ADMIN_URL": SERVER, "THRESHOLD_SECONDS": "300"}
    assert resources(stack, "AWS::Logs::LogGroup").popitem()[1]["DeletionPolicy"] == "Delete"
    assert not resources(stack, "AWS::CloudWatch::Alarm")


def test_the_function_reads_what_the_construct_writes(stack: Stack) -> None:
    secret = secretsmanager.Secret.from_secret_partial_arn(
        stack, "Key", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:restate"
    )
    there = RestateServer(stack, "Restate", admin_url=f"{SERVER}/", auth_token=secret)
    InvocationMonitor(stack, "Monitor", environment=there, services=["b", "a", "b"], threshold=Duration.minutes(10))

    settings = check.Settings.of(variables(stack))
    assert (settings.monitor, settings.admin_url, settings.insecure) == ("Stack/Monitor", SERVER, False)
    assert (settings.services, settings.threshold_seconds) == (("a", "b"), 600)
    assert settings.secret
    assert (settings.secret.region, settings.secret.is_partial) == ("eu-west-1", True)


def test_the_function_reads_which_handlers_are_timed_and_how_often_it_looks(stack: Stack) -> None:
    timed = ["trips/reserve", "payments/refund", "trips/reserve"]
    InvocationMonitor(stack, "Monitor", environment=server(stack), durations=timed, interval=Duration.minutes(5))

    settings = check.Settings.of(variables(stack))
    assert settings.durations == ("payments/refund", "trips/reserve")
    assert settings.interval == timedelta(minutes=5)


def test_a_late_look_is_dropped_and_a_failed_one_is_not_retried(stack: Stack) -> None:
    InvocationMonitor(stack, "Monitor", environment=server(stack))

    config = the(stack, "AWS::Lambda::EventInvokeConfig")
    assert (config["MaximumEventAgeInSeconds"], config["MaximumRetryAttempts"]) == (60, 0)


def test_it_may_log_publish_in_its_namespace_and_read_its_key_and_nothing_else(stack: Stack) -> None:
    shared = Stack(stack.node.root, "Shared")  # pyright: ignore[reportArgumentType]
    secret = secretsmanager.Secret(shared, "ApiKey", encryption_key=kms.Key(shared, "Key"))  # pyright: ignore[reportArgumentType]
    cloud = RestateCloudEnvironment(shared, "Cloud", environment_id="env_1", api_key=secret)
    InvocationMonitor(stack, "Monitor", environment=cloud)

    # the stack of the environment and the secret grants nothing, so there is no cycle of stacks
    assert not of_action(shared, "cloudwatch:PutMetricData")
    allowed = {str(each["Action"]): each for each in statements(stack)}
    assert set(allowed) == {
        "cloudwatch:PutMetricData",
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "['logs:CreateLogStream', 'logs:PutLogEvents']",
    }
    assert allowed["cloudwatch:PutMetricData"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}
    assert NAMESPACE == check.NAMESPACE


def test_options_reach_the_function(stack: Stack) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1, nat_gateways=0)
    role = iam.Role(stack, "MyRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))  # pyright: ignore[reportArgumentType]
    InvocationMonitor(
        stack,
        "Monitor",
        environment=server(stack),
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        security_groups=[ec2.SecurityGroup(stack, "Group", vpc=vpc)],
        role=role,
        tracing=lambda_.Tracing.ACTIVE,
        log_group=logs.LogGroup(stack, "MyLogs"),
        runtime=lambda_.Runtime.PYTHON_3_12,
        timeout=Duration.seconds(40),
        environment_encryption=kms.Key(stack, "EncryptionKey"),
        function_options=lambda_.FunctionOptions(memory_size=512, environment={"LEVEL": "debug"}),
    )

    functions = resources(stack, "AWS::Lambda::Function").values()
    (found,) = (each["Properties"] for each in functions if "VpcConfig" in each["Properties"])
    assert (found["Runtime"], found["Timeout"], found["MemorySize"]) == ("python3.12", 40, 512)
    assert found["Environment"]["Variables"]["LEVEL"] == "debug"
    assert "MONITOR" in found["Environment"]["Variables"]
    assert "EncryptionKey" in str(found["KmsKeyArn"])
    assert "MyLogs" in str(found["LoggingConfig"])
    for action in ("ec2:CreateNetworkInterface", "cloudwatch:PutMetricData", "xray:PutTraceSegments"):
        (statement,) = of_action(stack, action)
        assert "MyRole" in str(statement["Roles"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            lambda_.FunctionOptions(timeout=Duration.minutes(1)),
            "must not set timeout: pass it to InvocationMonitor instead",
        ),
        (lambda_.FunctionOptions(retry_attempts=2), "must not set retry_attempts: the monitor sets it itself"),
    ],
)
def test_function_options_must_not_set_arguments_or_what_the_monitor_sets(
    stack: Stack, options: lambda_.FunctionOptions, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^function_options {said}"):
        InvocationMonitor(stack, "Monitor", environment=server(stack), function_options=options)


@pytest.mark.parametrize("services", ["trips", [], ["trips", ""]])
def test_services_are_a_list_of_names_or_left_out(stack: Stack, services: Any) -> None:
    with pytest.raises(ValueError, match="services must list service names, or be None for all, but is"):
        InvocationMonitor(stack, "Monitor", environment=server(stack), services=services)


@pytest.mark.parametrize(
    "handlers",
    [
        "trips/reserve",
        ["trips"],
        ["trips/"],
        ["payments/trip-1/refund"],
        ["trips/reserve,cars/reserve"],
        ["trips/_"],
        [f"trips/handler{number}" for number in range(21)],
    ],
)
def test_durations_are_a_list_of_up_to_twenty_handlers_without_keys(stack: Stack, handlers: Any) -> None:
    with pytest.raises(
        ValueError, match="durations must list at most 20 handlers, each as service/handler without a key"
    ):
        InvocationMonitor(stack, "Monitor", environment=server(stack), durations=handlers)


def test_a_handler_that_is_not_timed_has_no_metric(stack: Stack) -> None:
    monitor = InvocationMonitor(stack, "Monitor", environment=server(stack), durations=["my.other-service/_1"])
    assert monitor.metric_duration("my.other-service/_1").statistic == "p99"

    with pytest.raises(
        ValueError, match=r"handler must be one of the durations of Stack/Monitor, .* but is 'trips/reserve'"
    ):
        monitor.metric_duration("trips/reserve")


def test_the_metric_of_a_handler_is_the_one_that_the_function_publishes(stack: Stack, restate: FakeAdmin) -> None:
    monitor = InvocationMonitor(stack, "Monitor", environment=server(stack), durations=["trips/reserve"])
    metric = monitor.metric_duration("trips/reserve", statistic="p50")
    metric.create_alarm(stack, "Slow", threshold=1000, evaluation_periods=1)
    (alarm,) = (found["Properties"] for found in resources(stack, "AWS::CloudWatch::Alarm").values())

    restate.answers_before = [(200, {"rows": [{"handler": "trips/reserve", "power": 1, "invocations": 1}]})]
    window = Window.of({"time": "2026-11-28T12:00:00Z"}, timedelta(minutes=1))
    assert window
    (published,) = durations.metrics(Admin(restate.url), "Stack/Monitor", ["trips/reserve"], window)

    assert sorted(alarm["Dimensions"], key=str) == sorted(published["Dimensions"], key=str)
    assert [alarm[name] for name in ("MetricName", "Unit")] == [published[name] for name in ("MetricName", "Unit")]
    assert (alarm["Namespace"], alarm["ExtendedStatistic"], alarm["Period"]) == (check.NAMESPACE, "p50", 60)


def test_restate_cloud_cannot_be_monitored_without_a_key(stack: Stack) -> None:
    cloud = RestateCloudEnvironment(stack, "Cloud", environment_id="env_1", api_key=None)

    with pytest.raises(ValueError, match="Stack/Cloud needs an api_key to be monitored"):
        InvocationMonitor(stack, "Monitor", environment=cloud)


def test_its_metrics_are_those_that_the_function_publishes(stack: Stack) -> None:
    # given an alarm on each of its metrics
    monitor = InvocationMonitor(stack, "Monitor", environment=server(stack), interval=Duration.minutes(2))
    for service in (None, "trips"):
        for metric in (monitor.metric_stuck(service), monitor.metric_oldest_age(service)):
            metric.create_alarm(stack, f"{metric.metric_name}{service}", threshold=1, evaluation_periods=1)
    alarms = [found["Properties"] for found in resources(stack, "AWS::CloudWatch::Alarm").values()]

    # then a check publishes exactly these metrics
    published = check.metrics("Stack/Monitor", [check.Stuck("trips", 1, 1)])
    assert {str([each[name] for name in ("MetricName", "Dimensions", "Unit")]) for each in published} == {
        str([each[name] for name in ("MetricName", "Dimensions", "Unit")]) for each in alarms
    }
    assert {(each["Namespace"], each["Statistic"], each["Period"]) for each in alarms} == {(NAMESPACE, "Maximum", 120)}


def test_its_alarms_are_for_stuck_invocations_and_for_a_monitor_that_does_not_look(stack: Stack) -> None:
    monitor = InvocationMonitor(stack, "Monitor", environment=server(stack), services=["trips"])
    topics = [sns.Topic(stack, name) for name in ("One", "Other")]

    # when alarms are added, with a runbook
    made = monitor.add_alarms(*(actions.SnsAction(topic) for topic in topics), runbook="See the wiki.")  # pyright: ignore[reportArgumentType]

    # then both notify both topics
    assert made == monitor.alarms
    found = {name: each["Properties"] for name, each in resources(stack, "AWS::CloudWatch::Alarm").items()}
    stuck, not_running = (
        next(each for name, each in found.items() if part in name) for part in ("Stuck", "NotRunning")
    )
    assert [len(each["AlarmActions"]) for each in (stuck, not_running)] == [2, 2]

    # and the first needs two checks, and keeps its state while data is missing
    assert (stuck["Threshold"], stuck["EvaluationPeriods"], stuck["Period"]) == (1, 2, 60)
    assert stuck["TreatMissingData"] == "ignore"
    text = str(stuck["AlarmDescription"])
    for part in (
        "Stack/Restate (https://restate.example.com:9070)",
        "Invocations of trips in",
        "for over 5 minutes",
        "See the wiki.",
    ):
        assert part in text

    # and the other needs three, and counts missing data as failures
    assert (not_running["Namespace"], not_running["MetricName"]) == ("AWS/Lambda", "Errors")
    assert (not_running["Threshold"], not_running["EvaluationPeriods"], not_running["Period"]) == (1, 3, 60)
    assert not_running["TreatMissingData"] == "breaching"
    assert "The monitor of stuck invocations in Restate Stack/Restate" in str(not_running["AlarmDescription"])
