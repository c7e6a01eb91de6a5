"""The holiday saga on Step Functions: four tables and a topic, nine functions, one state machine, one HTTP API.

The fourth table is the gate: Step Functions runs executions of one trip id side by side, so that only one of them
holds the id has to be a conditional write.
"""

import shutil
from pathlib import Path
from typing import Any

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
from holiday_stack import bundling

STEPS = dict.fromkeys(("flights", "cars"), ("reserve", "confirm", "cancel")) | {"payments": ("process", "refund")}


def build_package(directory: Path, target: str) -> None:
    """Write the functions' package: the front door, the steps, and what they share with the Restate version, without
    Restate's SDK. target: lambda or host, as in holiday_stack.settings.
    """
    package = bundling.package("holiday", bundling.TARGETS[target])
    for folder in (package / "holiday", package / "msgspec"):
        shutil.copytree(folder, directory / folder.name)
    for source in (Path(__file__).parent / "lambdas").glob("*.py"):
        shutil.copy(source, directory)


class StepFunctionsStack(Stack):
    """workflow_type: STANDARD or EXPRESS. package: the directory of the functions' code."""

    def __init__(self, scope: Construct, workflow_type: str, package: str) -> None:
        super().__init__(scope, f"StepFunctions{workflow_type.capitalize()}")
        self._code = lambda_.Code.from_asset(package)
        tables = {name: self._table(name, sort_key="sk") for name in STEPS}
        gate = self._table("gate")
        topic = sns.Topic(self, "Notices", enforce_ssl=True)

        functions: dict[str, lambda_.IFunction] = {}
        for service, table in tables.items():
            for verb in STEPS[service]:
                variables = {"TABLE_NAME": table.table_name, "GATE_TABLE_NAME": gate.table_name}
                function: Any = self._function(f"steps.{service}_{verb}", 10, **variables)
                table.grant(function, "dynamodb:PutItem", "dynamodb:UpdateItem")
                if service == "flights" and verb != "confirm":
                    gate.grant(function, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
                functions[f"{service}.{verb}"] = function.current_version

        machine = sfn.StateMachine(
            self,
            "Trips",
            state_machine_type=sfn.StateMachineType[workflow_type],
            query_language=sfn.QueryLanguage.JSONATA,
            definition_body=sfn.DefinitionBody.from_chainable(Workflow(self, "Workflow", functions, topic).first),
        )

        # An HTTP API waits 29 seconds for an answer at most, and so does what is behind it.
        front: Any = self._function(
            "trips.reserve", 29, STATE_MACHINE_ARN=machine.state_machine_arn, TYPE=workflow_type
        )
        executions = f"arn:{self.partition}:states:{self.region}:{self.account}:*:{machine.state_machine_name}*"
        actions = ["states:StartExecution", "states:StartSyncExecution", "states:DescribeExecution"]
        front.add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[executions]))
        api = apigateway.HttpApi(self, "Api")
        api.add_routes(
            path="/trips/reserve",
            methods=[apigateway.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration("Reserve", front),
        )

        outputs = {f"{name.capitalize()}TableName": table.table_name for name, table in tables.items()}
        outputs |= {"TopicArn": topic.topic_arn, "StateMachineArn": machine.state_machine_arn, "ApiId": api.api_id}
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)

    def _table(self, name: str, sort_key: str | None = None) -> dynamodb.Table:
        text = dynamodb.AttributeType.STRING
        return dynamodb.Table(
            self,
            name.capitalize(),
            partition_key=dynamodb.Attribute(name="pk", type=text),
            sort_key=dynamodb.Attribute(name=sort_key, type=text) if sort_key else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification={"point_in_time_recovery_enabled": True},
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )

    def _function(self, handler: str, timeout: int, **variables: str) -> lambda_.Function:
        """With the Restate version's memory, logs and retained versions."""
        name = handler.removeprefix("steps.").replace(".", "_").title().replace("_", "")
        return lambda_.Function(
            self,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=self._code,
            handler=handler,
            environment=variables,
            timeout=Duration.seconds(timeout),
            memory_size=1024,
            log_group=logs.LogGroup(self, f"{name}Logs", retention=logs.RetentionDays.ONE_MONTH),
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            current_version_options={"removal_policy": RemovalPolicy.RETAIN},
        )
