"""The holiday stack: three tables and a topic, four services on Lambda, and their introduction to Restate."""

from pathlib import Path

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from holiday_stack import bundling
from holiday_stack.alarms import Alarms
from holiday_stack.restate_environment import RestateEnvironment
from holiday_stack.restate_service import RestateService
from holiday_stack.service_registration import ServiceRegistration
from holiday_stack.settings import Settings
from restate_lambda_cdk import HANDLER


class HolidayStack(Stack):
    """Everything that the holiday saga needs, next to a Restate server that exists already.

    lambdas: the sources of what runs in Lambda. Default: this checkout's.
    """

    def __init__(self, scope: Construct, settings: Settings, lambdas: Path = bundling.LAMBDAS) -> None:
        super().__init__(scope, "-".join(filter(None, [settings.prefix, "HolidayStack"])))
        target = f"lambda-{settings.python_runtime}" if settings.bundle_for == "lambda" else settings.bundle_for
        holiday = bundling.package("holiday", bundling.TARGETS[target], lambdas=lambdas)
        automatic = settings.registration == "automatic"
        registrar = lambda_.Code.from_asset(str(HANDLER), exclude=["**/__pycache__"])
        self._code = lambda_.Code.from_asset(str(holiday))

        # What the domain owns
        flights_table, cars_table, payments_table = (
            self._table(name, settings.disposable) for name in ("Flights", "Cars", "Payments")
        )
        key = None if settings.disposable else kms.Alias.from_alias_name(self, "SnsKey", "alias/aws/sns")
        topic = sns.Topic(self, "Notices", enforce_ssl=True, master_key=key)  # pyright: ignore[reportArgumentType]
        if settings.notification_email:
            topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))  # pyright: ignore[reportArgumentType]

        # Where Restate lives
        self.restate = RestateEnvironment(
            self,
            "Restate",
            environment_id=settings.environment_id,
            region=settings.restate_region,
            admin_url=settings.admin_url,
            ingress_url=settings.ingress_url,
            auth_token_secret_arn=settings.auth_token_secret_arn,
            registration_code=registrar if automatic else None,
            runtime=lambda_.Runtime(f"python{settings.python_runtime}", lambda_.RuntimeFamily.PYTHON),
        )

        # Who serves it
        flights = self._service("flights", FLIGHTS_TABLE_NAME=flights_table.table_name)
        flights.allow("dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", on=flights_table.table_arn)
        cars = self._service("cars", CARS_TABLE_NAME=cars_table.table_name)
        cars.allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=cars_table.table_arn)
        payments = self._service("payments", PAYMENTS_TABLE_NAME=payments_table.table_name)
        payments.allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=payments_table.table_arn)
        trips = self._service("trips", SNS_TOPIC=topic.topic_arn)
        trips.allow("sns:Publish", on=topic.topic_arn)

        # Introductions: who is called comes before who calls
        if automatic:
            callees = tuple(self._introduce(service) for service in (flights, cars, payments))
            self._introduce(trips, after=callees)

        # Who is told when something is wrong
        if settings.alarm_topic_arn:
            Alarms(
                self,
                "Alarms",
                functions=[service.function for service in (trips, flights, cars, payments)],
                registrar=self.restate.registrar,
                topic_arn=settings.alarm_topic_arn,
            )

        # Outputs: all that a manual registration, a test or a curl needs
        for service in (trips, flights, cars, payments):
            self._output(f"{service.name.capitalize()}VersionArn", service.version.function_arn)
        self._output("FlightsTableName", flights_table.table_name)
        self._output("CarsTableName", cars_table.table_name)
        self._output("PaymentsTableName", payments_table.table_name)
        self._output("TopicArn", topic.topic_arn)
        self._output("IngressUrl", self.restate.ingress_url)
        self._output("AdminUrl", self.restate.admin_url)
        if self.restate.invoker_role:
            self._output("InvokerRoleArn", self.restate.invoker_role.role_arn)

    def _table(self, name: str, disposable: bool) -> dynamodb.Table:
        """The rows are the audit trail: unless they are disposable, nothing that is done to the stack loses them."""
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
            # Not "except on create": what is protected cannot be deleted, and the rollback would fail.
            removal_policy=RemovalPolicy.DESTROY if disposable else RemovalPolicy.RETAIN,
        )

    def _service(self, name: str, **variables: str) -> RestateService:
        return RestateService(
            self,
            name.capitalize() + "Service",
            environment=self.restate,
            name=name,
            code=self._code,
            handler=f"holiday.{name}.handler",
            variables=variables,
        )

    def _introduce(self, service: RestateService, after: tuple[ServiceRegistration, ...] = ()) -> ServiceRegistration:
        return ServiceRegistration(
            self, f"{service.name.capitalize()}Registration", environment=self.restate, service=service, after=after
        )

    def _output(self, name: str, value: str) -> None:
        CfnOutput(self, name, value=value)
