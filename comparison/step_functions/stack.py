"""The holiday saga on Step Functions: four tables and a topic, nine functions, one state machine, one HTTP API.

The fourth table is the gate: Step Functions runs executions of one trip id side by side, so that only one of them
holds the id has to be a conditional write.
"""

from typing import cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from comparison.step_functions.workflow import Workflow
from holiday_stack import bundling, libraries

LAMBDAS = libraries.ROOT / "comparison" / "step_functions" / "lambdas"


class StepFunctionsStack(Stack):
    """workflow_type: STANDARD or EXPRESS. bundle_for: lambda or host, as in holiday_stack.settings."""

    def __init__(self, scope: Construct, *, workflow_type: str, bundle_for: str) -> None:
        super().__init__(scope, f"StepFunctions{workflow_type.capitalize()}")
        target = bundling.TARGETS[bundle_for]
        package = bundling.package("steps", target, lambdas=LAMBDAS, local=bundling.LOCAL / "step-functions")
        self._code = lambda_.Code.from_asset(str(package))

        # What the domain owns
        key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        booking = dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING)
        flights, cars, payments = (self._table(name, key, booking) for name in ("Flights", "Cars", "Payments"))
        gate = self._table("Gate", key)
        topic = sns.Topic(self, "Notices", enforce_ssl=True)

        # The eight steps
        write = ("dynamodb:PutItem", "dynamodb:UpdateItem")
        functions: dict[str, lambda_.IFunction] = {}
        for table, steps in (
            (flights, ("flights.reserve", "flights.confirm", "flights.cancel")),
            (cars, ("cars.reserve", "cars.confirm", "cars.cancel")),
            (payments, ("payments.process", "payments.refund")),
        ):
            for step in steps:
                function = self._function(step, TABLE_NAME=table.table_name, GATE_TABLE_NAME=gate.table_name)
                self._allow(function, *write, on=table.table_arn)
                if step in ("flights.reserve", "flights.cancel"):
                    self._allow(function, *write, "dynamodb:GetItem", "dynamodb:DeleteItem", on=gate.table_arn)
                functions[step] = cast(lambda_.IFunction, function.current_version)

        # The workflow
        workflow = Workflow(self, "Workflow", functions, topic)
        machine = sfn.StateMachine(
            self,
            "Trips",
            state_machine_type=sfn.StateMachineType[workflow_type],
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(workflow.first),
        )

        # The ninth function, and HTTP in front of it
        front = self._function("trips.reserve", STATE_MACHINE_ARN=machine.state_machine_arn, TYPE=workflow_type)
        executions = f"arn:{self.partition}:states:{self.region}:{self.account}:*:{machine.state_machine_name}*"
        start = ("states:StartExecution", "states:StartSyncExecution", "states:DescribeExecution")
        self._allow(front, *start, on=executions)
        api = apigateway.HttpApi(self, "Api")
        api.add_routes(
            path="/trips/reserve",
            methods=[apigateway.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration("Reserve", front),  # pyright: ignore[reportArgumentType]
        )

        outputs = {"FlightsTableName": flights, "CarsTableName": cars, "PaymentsTableName": payments}
        for name, table in outputs.items():
            CfnOutput(self, name, value=table.table_name)
        CfnOutput(self, "TopicArn", value=topic.topic_arn)
        CfnOutput(self, "StateMachineArn", value=machine.state_machine_arn)
        CfnOutput(self, "ApiId", value=api.api_id)
        CfnOutput(self, "Url", value=f"{api.api_endpoint}/trips/reserve")

    def _table(self, name: str, key: dynamodb.Attribute, sort_key: dynamodb.Attribute | None = None) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name,
            partition_key=key,
            sort_key=sort_key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )

    def _function(self, step: str, **variables: str) -> lambda_.Function:
        """Defaults as in holiday_stack. The front door waits for the answer as long as an HTTP API lets it."""
        name = "".join(part.capitalize() for part in step.split("."))
        log_group = logs.LogGroup(
            self, f"{name}Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        role = iam.Role(
            self,
            f"{name}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),  # pyright: ignore[reportArgumentType]
        )
        log_group.grant_write(role)
        return lambda_.Function(
            self,
            name,
            description=step,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=self._code,
            handler=f"steps.{step}",
            environment=variables,
            timeout=Duration.seconds(29 if step == "trips.reserve" else 10),
            memory_size=1024,
            role=role,  # pyright: ignore[reportArgumentType]
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
        )

    def _allow(self, function: lambda_.Function, *actions: str, on: str) -> None:
        function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=[on]))
