"""The holiday stack: three tables and a topic, four services on Lambda, and their registration with Restate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from aws_cdk import CfnOutput, Environment, IStackSynthesizer, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from holiday_stack import bundling
from holiday_stack.alarms import Alarms
from holiday_stack.service_function import ServiceFunction
from holiday_stack.settings import Settings, SettingsError
from holiday_stack.trip_metrics import TripMetrics
from restate_lambda_cdk import (
    InvocationMonitor,
    RestateCloudEnvironment,
    RestateEnvironment,
    RestateServer,
    ServiceDeployer,
    follow_references,
)

RUNBOOK = "`make stuck` lists them with what to do: docs/stuck.md."


@dataclass(frozen=True)
class Booked:
    """One row.

    Args:
        actions: The IAM actions that the service needs on its table.
        compensation: Its handler that compensates.
    """

    actions: tuple[str, ...] = ("dynamodb:PutItem", "dynamodb:UpdateItem")
    compensation: str = "cancel"


BOOKED = {
    "flights": Booked(("dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem")),
    "cars": Booked(),
    "payments": Booked(compensation="refund"),
}
"""A row for each service that trips calls, by its name, which its table has too.

The module `holiday.<name>` serves it, the variable `<NAME>_TABLE_NAME` names the table.
"""


class StackOptions(TypedDict, total=False):
    """The other options of CDK's Stack, with CDK's defaults."""

    env: Environment
    stack_name: str
    description: str
    tags: Mapping[str, str]
    termination_protection: bool
    synthesizer: IStackSynthesizer


class HolidayStack(Stack):
    """Everything that the holiday saga needs, except Restate itself.

    Args:
        scope: The app.
        construct_id: The stack's id, and its name unless `options` has another.
        settings: What is deployed, and where Restate is.
        lambdas: The sources of the functions. Default: this checkout's.
        options: The other options of CDK's Stack.

    Raises:
        SettingsError: A URL of Restate is refused.
        BundlingError: The functions' packages cannot be built.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: Settings,
        *,
        lambdas: Path = bundling.LAMBDAS,
        **options: Unpack[StackOptions],
    ) -> None:
        super().__init__(scope, construct_id, **options)
        target = f"lambda-{settings.python_runtime}" if settings.bundle_for == "lambda" else settings.bundle_for
        holiday = bundling.package("holiday", bundling.TARGETS[target], lambdas=lambdas)
        self._runtime = lambda_.Runtime(f"python{settings.python_runtime}", lambda_.RuntimeFamily.PYTHON)
        self._code = lambda_.Code.from_asset(str(holiday))

        # What the domain owns
        tables = {name: self._table(name.capitalize(), settings.disposable) for name in BOOKED}
        key = None if settings.disposable else kms.Alias.from_alias_name(self, "SnsKey", "alias/aws/sns")
        topic = sns.Topic(self, "Notices", enforce_ssl=True, master_key=key)  # pyright: ignore[reportArgumentType]
        if settings.notification_email:
            topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))  # pyright: ignore[reportArgumentType]

        # Where Restate is
        self.restate = self._environment(settings)

        # The services
        booked = {
            name: self._service(name, **{f"{name.upper()}_TABLE_NAME": tables[name].table_name}) for name in BOOKED
        }
        for name, row in BOOKED.items():
            tables[name].grant(booked[name], *row.actions)  # pyright: ignore[reportArgumentType]
        trips = self._service("trips", SNS_TOPIC=topic.topic_arn)
        # Not `topic.grant_publish`, which also grants any key that ever has this alias. SNS's own key needs no grant.
        iam.Grant.add_to_principal(grantee=trips, actions=["sns:Publish"], resource_arns=[topic.topic_arn])  # pyright: ignore[reportArgumentType]

        # Registrations: callees before callers
        services = {"trips": trips, **booked}
        registers = None
        if settings.registration == "automatic":
            deployer = ServiceDeployer(self, "Deployer", runtime=self._runtime)
            registers = deployer.function
            called = [
                deployer.register(each.current_version, environment=self.restate, services=[name])
                for name, each in booked.items()
            ]
            deployer.register(trips.current_version, environment=self.restate, services=["trips"], after=called)
        else:
            for each in services.values():
                follow_references(each)
                self.restate.grant_invoke(each.current_version)

        # Alarms, and metrics of how many trips there are and how long they take
        if settings.alarm_topic_arn:
            alarms = Alarms(
                self,
                "Alarms",
                services=services,
                compensations={name: row.compensation for name, row in BOOKED.items()},
                deployer=registers,
                topic_arn=settings.alarm_topic_arn,
            )
            TripMetrics(self, "TripMetrics", trips=trips)
            if registers:  # it needs the admin API's key
                monitor = InvocationMonitor(
                    self,
                    "Monitor",
                    environment=self.restate,
                    services=[*services],
                    durations=["trips/reserve"],
                    runtime=self._runtime,
                )
                monitor.add_alarms(alarms.action, runbook=RUNBOOK)

        # Outputs: what a manual registration, a test or a curl needs
        for name, each in services.items():
            self._output(f"{name.capitalize()}VersionArn", each.current_version.function_arn)
        for name, table in tables.items():
            self._output(f"{name.capitalize()}TableName", table.table_name)
        self._output("TopicArn", topic.topic_arn)
        if self.restate.ingress_url:
            self._output("IngressUrl", self.restate.ingress_url)
        self._output("AdminUrl", self.restate.admin_url)
        if self.restate.invoker_role:
            self._output("InvokerRoleArn", self.restate.invoker_role.role_arn)

    def _table(self, name: str, disposable: bool) -> dynamodb.Table:
        """The rows are the audit trail: unless they are disposable, no change to the stack can lose them."""
        return dynamodb.Table(
            self,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT if disposable else dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=not disposable
            ),
            deletion_protection=not disposable,
            # Not "except on create": a protected table cannot be deleted, so the rollback would fail.
            removal_policy=RemovalPolicy.DESTROY if disposable else RemovalPolicy.RETAIN,
        )

    def _environment(self, settings: Settings) -> RestateEnvironment:
        arn = settings.auth_token_secret_arn
        key = _secret(self, arn) if arn else None
        if settings.environment_id:
            return RestateCloudEnvironment(
                self,
                "Restate",
                environment_id=settings.environment_id,
                api_key=key,
                region=settings.restate_region,
                admin_url=settings.admin_url,
                ingress_url=settings.ingress_url,
            )
        assert settings.admin_url
        try:
            return RestateServer(
                self, "Restate", admin_url=settings.admin_url, ingress_url=settings.ingress_url, auth_token=key
            )
        except ValueError as error:
            raise SettingsError(str(error)) from None

    def _service(self, name: str, **variables: str) -> ServiceFunction:
        return ServiceFunction(self, name, runtime=self._runtime, code=self._code, environment=variables)

    def _output(self, name: str, value: str) -> None:
        CfnOutput(self, name, value=value)


def _secret(scope: Construct, arn: str) -> secretsmanager.ISecret:
    """An ARN does not say whether it is complete: the six characters at its end may be part of the name. Those that
    Secrets Manager appends nearly always include a digit or a capital; a name's last word is in lower case."""
    if re.search(r"-(?=.*[A-Z0-9])[A-Za-z0-9]{6}$", arn):
        return secretsmanager.Secret.from_secret_complete_arn(scope, "ApiKey", arn)
    return secretsmanager.Secret.from_secret_partial_arn(scope, "ApiKey", arn)
