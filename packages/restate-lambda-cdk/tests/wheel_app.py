"""An app that uses the wheel, as a user would write it: `python wheel_app.py <output folder>` synthesizes it.

It uses the whole package, but only the parts of CDK that the oldest declared aws-cdk-lib has.
"""

import sys

from aws_cdk import App, CfnResource, Duration, Stack
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns

from restate_lambda_cdk import InvocationMonitor, RestateCloudEnvironment, RestateServer, ServiceDeployer


def function(stack: Stack, construct_id: str, table: dynamodb.Table) -> lambda_.Function:
    code = lambda_.Code.from_inline("handler = None")
    made = lambda_.Function(
        stack, construct_id, runtime=lambda_.Runtime.PYTHON_3_12, handler="index.handler", code=code
    )
    made.add_environment("TABLE", table.table_name)
    made.add_environment("TOPIC", raw.ref)
    return made


app = App(outdir=sys.argv[1], analytics_reporting=False)
shared, deploying, services = Stack(app, "Shared"), Stack(app, "Deploying"), Stack(app, "Services")

secret = secretsmanager.Secret(shared, "ApiKey")
key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
table = dynamodb.Table(shared, "Table", partition_key=key)
raw = CfnResource(shared, "Raw", type="AWS::SNS::Topic")
cloud = RestateCloudEnvironment(shared, "Cloud", environment_id="env_1", api_key=secret, region="eu")
server = RestateServer(
    shared,
    "Server",
    admin_url="https://restate.example.com:9070",
    auth_token=secretsmanager.Secret.from_secret_name_v2(shared, "Named", "restate"),
    invoker_role=iam.Role(shared, "Invoker", assumed_by=iam.AccountRootPrincipal()),  # pyright: ignore[reportArgumentType]
)
deployer = ServiceDeployer(
    deploying,
    "Deployer",
    vpc=ec2.Vpc(deploying, "Vpc", max_azs=2, nat_gateways=0),
    vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
    tracing=lambda_.Tracing.ACTIVE,
    timeout=Duration.minutes(10),
    function_options=lambda_.FunctionOptions(memory_size=512),
)
leaf = deployer.register(
    function(services, "Leaf", table).current_version, environment=cloud, services=["flights", "cars"]
)
deployer.register(
    function(services, "Saga", table).current_version,
    environment=cloud,
    services=["trips"],
    after=[leaf],
    take_over=True,
    drain=Duration.minutes(3),
)
imported = lambda_.Version.from_version_arn(services, "Old", "arn:aws:lambda:eu-west-1:000000000000:function:old:7")
deployer.register(imported, environment=server, services=["old"], allow_breaking_changes=True)
monitor = InvocationMonitor(
    deploying,
    "Monitor",
    environment=cloud,
    services=["flights", "cars", "trips"],
    threshold=Duration.minutes(10),
    interval=Duration.minutes(2),
    function_options=lambda_.FunctionOptions(memory_size=512),
)
topic = sns.Topic(shared, "Topic")
monitor.add_alarms(actions.SnsAction(topic), runbook="See the wiki.")  # pyright: ignore[reportArgumentType]
app.synth()
