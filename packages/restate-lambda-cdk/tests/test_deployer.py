"""The registration function: CDK's options for functions, and what the deployer sets itself."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Duration, Stack, Stage
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_secretsmanager import Secret

from restate_lambda_cdk import RestateServer, ServiceDeployer, handler_function
from stacks import SERVER, function, of_action, registrations, resources, server, statements


def the_function(stack: Stack) -> dict[str, Any]:
    ((_, found),) = resources(stack, "AWS::Lambda::Function").items()
    return found


def test_by_default_it_can_only_log_and_its_log_outlives_the_stack(stack: Stack) -> None:
    ServiceDeployer(stack, "Deployer")

    ((log_group, logs_),) = resources(stack, "AWS::Logs::LogGroup").items()
    (logging,) = statements(stack)
    assert {*logging["Action"]} == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert logging["Resource"] == {"Fn::GetAtt": [log_group, "Arn"]}
    assert (logs_["DeletionPolicy"], logs_["Properties"]["RetentionInDays"]) == ("RetainExceptOnCreate", 30)


def test_options_reach_the_function(stack: Stack) -> None:
    key = kms.Key(stack, "EncryptionKey")
    ServiceDeployer(
        stack,
        "Deployer",
        tracing=lambda_.Tracing.ACTIVE,
        architecture=lambda_.Architecture.X86_64,
        runtime=lambda_.Runtime.PYTHON_3_12,
        timeout=Duration.minutes(10),
        log_group=logs.LogGroup(stack, "MyLogs"),
        environment_encryption=key,
        function_options=lambda_.FunctionOptions(
            function_name="registrar", memory_size=512, environment={"LEVEL": "debug"}, reserved_concurrent_executions=2
        ),
    )

    found = the_function(stack)["Properties"]
    assert found["TracingConfig"] == {"Mode": "Active"}
    assert (found["Architectures"], found["Runtime"], found["Timeout"]) == (["x86_64"], "python3.12", 600)
    assert (found["FunctionName"], found["MemorySize"], found["ReservedConcurrentExecutions"]) == ("registrar", 512, 2)
    assert found["Environment"] == {"Variables": {"LEVEL": "debug"}}
    assert "EncryptionKey" in str(found["KmsKeyArn"])
    assert "MyLogs" in str(found["LoggingConfig"])
    assert len(resources(stack, "AWS::Logs::LogGroup")) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            lambda_.FunctionOptions(timeout=Duration.minutes(1)),
            "must not set timeout: pass it to ServiceDeployer instead",
        ),
        (lambda_.FunctionOptions(retry_attempts=2), "must not set retry_attempts: the deployer sets it itself"),
        (
            lambda_.FunctionOptions(max_event_age=Duration.hours(1)),
            "must not set max_event_age: the deployer sets it itself",
        ),
    ],
)
def test_function_options_must_not_set_arguments_or_what_the_deployer_sets(
    stack: Stack, options: lambda_.FunctionOptions, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^function_options {said}"):
        ServiceDeployer(stack, "Deployer", function_options=options)


def test_function_options_may_be_a_dictionary_like_any_cdk_struct(stack: Stack) -> None:
    options: Any = {"memory_size": 512}
    ServiceDeployer(stack, "Deployer", function_options=options)

    (found,) = (each["Properties"] for each in resources(stack, "AWS::Lambda::Function").values())
    assert found["MemorySize"] == 512


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runtime": lambda_.Runtime.PYTHON_3_10}, "runtime must be Python 3.11 or newer, but is python3.10."),
        ({"runtime": lambda_.Runtime.NODEJS_22_X}, "runtime must be Python 3.11 or newer, but is nodejs22.x."),
        ({"timeout": Duration.minutes(16)}, "timeout must be at most 15 minutes, but is 960 seconds."),
    ],
)
def test_what_lambda_cannot_run_is_rejected_at_synth(stack: Stack, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        ServiceDeployer(stack, "Deployer", **options)


@pytest.mark.parametrize("own_role", [False, True])
def test_in_a_vpc_it_may_create_network_interfaces_before_it_is_created(stack: Stack, own_role: bool) -> None:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1, nat_gateways=0)
    security_group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    role = iam.Role(stack, "MyRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))  # pyright: ignore[reportArgumentType]
    ServiceDeployer(
        stack,
        "Deployer",
        vpc=vpc,
        vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        security_groups=[security_group],
        role=role if own_role else None,
    )

    found = next(
        each for each in resources(stack, "AWS::Lambda::Function").values() if "VpcConfig" in each["Properties"]
    )
    (allowed,) = of_action(stack, "ec2:CreateNetworkInterface")
    assert "ec2:DeleteNetworkInterface" in allowed["Action"]
    assert found["Properties"]["Role"]["Fn::GetAtt"][0] == allowed["Roles"][0]["Ref"]
    assert ("MyRole" in str(allowed["Roles"])) is own_role
    assert [each for each in found["DependsOn"] if "NetworkInterfaces" in each]
    assert "Group" in str(found["Properties"]["VpcConfig"]["SecurityGroupIds"])


def test_its_role_may_be_in_another_stack(stack: Stack) -> None:
    roles = Stack(Stage.of(stack), "Roles")  # pyright: ignore[reportArgumentType]
    role = iam.Role(roles, "Mine", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))  # pyright: ignore[reportArgumentType]
    vpc = ec2.Vpc(stack, "Vpc", max_azs=1, nat_gateways=0)
    isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
    deployer = ServiceDeployer(stack, "Deployer", role=role, vpc=vpc, vpc_subnets=isolated)
    deployer.register(function(stack).current_version, environment=server(stack), services=["greeter"])

    (may_log,) = of_action(stack, "logs:PutLogEvents")
    assert may_log["Resource"]["Fn::GetAtt"][0].startswith("DeployerLogs")
    assert "Mine" in str(may_log["Roles"])


def test_without_a_vpc_it_may_not_create_network_interfaces(stack: Stack) -> None:
    ServiceDeployer(stack, "Deployer")

    assert not of_action(stack, "ec2:CreateNetworkInterface")


def test_each_of_two_deployers_may_read_the_key(stack: Stack) -> None:
    restate = RestateServer(stack, "Restate", admin_url=SERVER, auth_token=Secret(stack, "Key"))
    for name in ("One", "Two"):
        deployer = ServiceDeployer(stack, f"{name}Deployer")
        deployer.register(function(stack, name).current_version, environment=restate, services=[name])

    allowed = of_action(stack, "secretsmanager:GetSecretValue")
    assert sorted(each["Roles"][0]["Ref"][:3] for each in allowed) == ["One", "Two"]


def test_an_event_is_handled_once_and_never_after_cloudformation_has_stopped_waiting(stack: Stack) -> None:
    deployer = ServiceDeployer(stack, "Deployer", timeout=Duration.minutes(14))
    deployer.register(function(stack).current_version, environment=server(stack), services=["greeter"])

    ((_, config),) = resources(stack, "AWS::Lambda::EventInvokeConfig").items()
    (registration,) = registrations(stack)
    latest_end = config["Properties"]["MaximumEventAgeInSeconds"] + 14 * 60
    assert config["Properties"]["MaximumRetryAttempts"] == 0
    assert latest_end < int(registration["ServiceTimeout"]) <= 3600


def test_its_package_is_readable_by_lambda_and_the_same_whatever_the_installation_s_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an installation that only its owner can read, with bytecode in it
    strict = tmp_path / "handler"
    shutil.copytree(handler_function.HANDLER, strict)
    (strict / "__pycache__").mkdir(exist_ok=True)
    (strict / "__pycache__" / "a.pyc").touch()
    for path in [strict, *strict.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)

    # when the function is synthesized from this one and from that one
    packages: list[Path] = []
    for handler in (handler_function.HANDLER, strict):
        monkeypatch.setattr(handler_function, "HANDLER", handler)
        out = tmp_path / f"out{len(packages)}"
        whole = App(analytics_reporting=False, outdir=str(out))
        ServiceDeployer(Stack(whole, "Stack"), "Deployer")
        whole.synth()
        packages += out.glob("asset.*")

    # then both packages are the same, and readable
    one, other = packages
    assert one.name == other.name
    for package in packages:
        files = [path for path in package.rglob("*") if path.is_file()]
        assert files and all(path.suffix in (".py", ".sql") and path.stat().st_mode & 0o777 == 0o644 for path in files)
