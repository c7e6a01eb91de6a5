"""One Restate service on Lambda: a function with our defaults, its published version, and Restate's leave to invoke it.

What is registered is a version, never $LATEST: it is immutable and retained, so an invocation in flight finishes on
the code that it began with, however many deployments happen meanwhile.
"""

from collections.abc import Mapping
from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .python_function import PythonFunction
from .restate_environment import RestateEnvironment


class RestateService(Construct):
    """A function that serves the Restate service `name`.

    environment: the Restate that will invoke it. In Restate Cloud its invoker role gets that permission here.
    code, handler: the package, for the environment's runtime on arm64, and the SDK's Lambda handler in it as
        `module.attribute`.
    variables: environment variables of the function. Default none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: RestateEnvironment,
        name: str,
        code: lambda_.Code,
        handler: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = name
        self.function = PythonFunction(
            self,
            "Function",
            description=f"Restate service {name}",
            runtime=environment.runtime,
            code=code,
            handler=handler,
            environment=variables,
            timeout=Duration.seconds(10),  # Restate retries, so a function that hangs is better cut off early
            memory_size=1024,  # a cold start is imports, so CPU: a second here, four times that at 256 MB
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
        )
        self.version = cast(lambda_.IVersion, self.function.current_version)
        if environment.invoker_role:
            self._let_restate_invoke(environment.invoker_role)

    def allow(self, *actions: str, on: str) -> None:
        """Let the function do exactly these actions on exactly this resource (an ARN)."""
        self.function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=[on]))

    def _let_restate_invoke(self, invoker: iam.Role) -> None:
        """Every published version, because earlier ones finish what was begun on them, and nothing unpublished."""
        versions, unpublished = f"{self.function.function_arn}:*", f"{self.function.function_arn}:$LATEST"
        invoke = ["lambda:InvokeFunction"]
        invoker.add_to_principal_policy(iam.PolicyStatement(actions=invoke, resources=[versions]))
        invoker.add_to_principal_policy(
            iam.PolicyStatement(actions=invoke, resources=[unpublished], effect=iam.Effect.DENY)
        )
        function = cast(CfnElement, self.function.node.default_child)
        Validations.of(invoker).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::<{Stack.of(self).get_logical_id(function)}.Arn>:*]",
                reason="The numbers of versions that are published later are not known; $LATEST is denied.",
            )
        )
