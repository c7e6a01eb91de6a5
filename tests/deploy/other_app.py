"""Another company's app, independent of this project: three stacks that share one Restate.

The first has Restate's address and an API key in a secret with its own KMS key; the second the registration function,
in a VPC; the third what is registered: a function with two services and a topic, and an existing function on x86_64.
"""

from aws_cdk import App, CfnOutput, Duration, SecretValue, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns

from restate_lambda_cdk import RestateServer, ServiceDeployer

SERVICES = """
import os
import restate

greeter, teller = restate.Service("greeter"), restate.Service("teller")


@greeter.handler()
async def greet(ctx: restate.Context, name: str) -> str:
    return f"Hello {name}"


@teller.handler()
async def tell(ctx: restate.Context) -> str:
    return os.environ["TOPIC"]


handler = restate.app([greeter, teller])
"""


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    prefix = context.get("prefix", "")
    where, who, what = (Stack(app, f"{prefix}{name}") for name in ("Where", "Who", "What"))
    code = lambda_.Code.from_asset(context["package"])

    key = kms.Key(where, "Key")
    value = SecretValue.unsafe_plain_text(context["key"])
    secret = secretsmanager.Secret(where, "ApiKey", encryption_key=key, secret_string_value=value)  # pyright: ignore[reportArgumentType]
    restate = RestateServer(where, "Restate", admin_url=context["adminUrl"], auth_token=secret)

    vpc = ec2.Vpc(who, "Vpc", max_azs=1, nat_gateways=0, restrict_default_security_group=False)
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    deployer = ServiceDeployer(who, "Deployer", vpc=vpc, vpc_subnets=isolated, timeout=Duration.seconds(100))

    topic = sns.Topic(what, "Topic", fifo=True if "fifo" in context else None)
    both = lambda_.Function(
        what,
        "Both",
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.X86_64,
        code=code,
        handler="greetings.greeter.handler",
        timeout=Duration.seconds(10),
        environment={"TOPIC": topic.topic_name},
    )
    first = deployer.register(
        both.current_version, environment=restate, services=["greeter", "teller"], drain=Duration.seconds(5)
    )
    if "existing" in context:
        existing = lambda_.Version.from_version_arn(what, "Existing", context["existing"])
        deployer.register(
            existing, environment=restate, services=["existing"], after=[first], drain=Duration.seconds(5)
        )
    CfnOutput(what, "TopicName", value=topic.topic_name)
    CfnOutput(what, "VersionArn", value=both.current_version.function_arn)
    app.synth()


if __name__ == "__main__":
    main()
