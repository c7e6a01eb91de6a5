"""Restate environments: what is accepted, what follows from it, and what is rejected at synth."""

from typing import Any

import pytest
from aws_cdk import App, CfnParameter, Environment, SecretValue, Stack
from aws_cdk.aws_iam import Role
from aws_cdk.aws_secretsmanager import Secret

from restate_lambda_cdk import RestateCloudEnvironment, RestateEnvironment, RestateServer, ServiceDeployer
from stacks import ID, app, function, of_action, registrations, resources, server

HOST = "https://201hy10cd3h6426jy80tb32n6en.env.eu.restate.cloud"


def key(stack: Stack) -> Secret:
    return Secret(stack, "Key")


def test_the_urls_of_restate_cloud_follow_from_the_id_and_the_region(stack: Stack) -> None:
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=key(stack), region="eu")

    assert (cloud.admin_url, cloud.ingress_url) == (f"{HOST}:9070", f"{HOST}:8080")


def test_another_admin_url_does_not_change_the_ingress_url(stack: Stack) -> None:
    url = CfnParameter(stack, "AdminUrl").value_as_string
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=key(stack), region="eu", admin_url=url)

    assert (stack.resolve(cloud.admin_url), cloud.ingress_url) == ({"Ref": "AdminUrl"}, f"{HOST}:8080")


def test_an_id_that_is_a_token_is_resolved_in_the_urls(stack: Stack) -> None:
    token = CfnParameter(stack, "Id").value_as_string
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=token, api_key=key(stack))

    ((_, role),) = resources(stack, "AWS::IAM::Role").items()
    trust = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"]["StringEquals"]["sts:ExternalId"] == {"Ref": "Id"}
    without_prefix = {"Fn::Select": [1, {"Fn::Split": ["env_", {"Ref": "Id"}]}]}
    assert stack.resolve(cloud.admin_url) == {
        "Fn::Join": ["", ["https://", without_prefix, ".env.us.restate.cloud:9070"]]
    }


def test_a_given_invoker_role_is_used_and_no_other_created(stack: Stack) -> None:
    role = Role.from_role_arn(stack, "Invoker", "arn:aws:iam::111122223333:role/invoker")
    cloud = RestateCloudEnvironment(stack, "Cloud", environment_id=ID, api_key=key(stack), invoker_role=role)
    own = RestateServer(stack, "Server", admin_url="http://10.0.0.7:9070", invoker_role=role)

    assert resources(stack, "AWS::IAM::Role") == {}
    assert cloud.invoker_role is role and own.invoker_role is role
    assert server(stack).invoker_role is None


def test_both_can_be_imported_from_attributes_without_creating_resources(stack: Stack) -> None:
    arn = "arn:aws:iam::111122223333:role/invoker"
    role = Role.from_role_arn(stack, "Invoker", arn)
    secret = Secret.from_secret_name_v2(stack, "Key", "restate")
    environments: list[RestateEnvironment] = [
        RestateCloudEnvironment.from_attributes(
            stack, "Cloud", environment_id=ID, api_key=secret, invoker_role=role, region="eu"
        ),
        RestateServer.from_attributes(stack, "Server", admin_url=f"{HOST}:9070", auth_token=secret, invoker_role=role),
    ]

    deployer = ServiceDeployer(stack, "Deployer")
    for environment in environments:
        deployer.register(
            function(stack, f"{environment.node.id}Function").current_version, environment=environment, services=["a"]
        )
    assert not [
        name
        for name in resources(stack, "AWS::IAM::Role")
        if not name.startswith(("Deployer", "CloudFunction", "ServerFunction"))
    ]
    found = registrations(stack)
    assert [each["AdminUrl"] for each in found] == [f"{HOST}:9070"] * 2
    assert [each["InvokerRoleArn"] for each in found] == [arn] * 2
    assert [each["Roles"] for each in of_action(stack, "lambda:InvokeFunction")] == [["invoker"]] * 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"environment_id": "production"},
            "environment_id must be env_ and lower-case letters or digits, but is 'production'",
        ),
        ({"environment_id": "env_…"}, "environment_id must be env_ and lower-case letters or digits, but is 'env_…'"),
        ({"environment_id": None}, "environment_id must be env_ and lower-case letters or digits, but is None"),
        ({"environment_id": ID, "region": "mars"}, "region must be one of us, eu, but is 'mars'."),
        ({"environment_id": ID, "admin_url": "restate"}, "admin_url 'restate' is not a URL such as https://"),
        ({"environment_id": ID, "admin_url": "http://10.0.0.7:9070"}, "http://10.0.0.7:9070 is plain HTTP"),
    ],
)
def test_an_invalid_restate_cloud_environment_is_rejected_in_one_sentence(
    stack: Stack, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        RestateCloudEnvironment(stack, "Restate", api_key=key(stack), **options)


@pytest.mark.parametrize(
    "url",
    [
        *("", "restate:9070", "ftp://restate", "http://", "http://a:b", "http://me:pw@restate:9070", "https://r/?a=b"),
        *("https://restate:9070\n", "https://re state:9070"),
    ],
)
@pytest.mark.parametrize("name", ["admin_url", "ingress_url"])
def test_an_invalid_url_is_rejected(stack: Stack, name: str, url: str) -> None:
    urls: dict[str, Any] = {"admin_url": "https://restate.example.com:9070"} | {name: url}

    with pytest.raises(ValueError, match=rf"^{name} .* is not a URL such as"):
        RestateServer(stack, "Restate", **urls)


def test_a_missing_admin_url_is_rejected(stack: Stack) -> None:
    with pytest.raises(ValueError, match=r"^admin_url None is not a URL such as"):
        RestateServer(stack, "Restate", admin_url=stack.node.try_get_context("adminUrl"))


def test_a_url_may_be_a_token(stack: Stack) -> None:
    token = CfnParameter(stack, "Url").value_as_string
    own = RestateServer(stack, "Restate", admin_url=token, auth_token=key(stack))
    ServiceDeployer(stack, "Deployer").register(function(stack).current_version, environment=own, services=["greeter"])

    assert own.ingress_url is None
    assert [each["AdminUrl"] for each in registrations(stack)] == [{"Ref": "Url"}]


@pytest.mark.parametrize(
    ("url", "insecure", "is_accepted"),
    [
        ("http://restate.internal:9070", False, False),
        ("http://127.0.0.1.example.com:9070", False, False),
        ("http://restate.internal:9070", True, True),
        ("https://restate.internal:9070", False, True),
        ("http://127.0.0.1:9070", False, True),
        ("http://localhost:9070", False, True),
        ("http://[::1]:9070", False, True),
    ],
)
def test_a_key_over_plain_http_is_rejected(stack: Stack, url: str, insecure: bool, is_accepted: bool) -> None:
    def make() -> RestateServer:
        return RestateServer(stack, "Restate", admin_url=url, auth_token=key(stack), insecure=insecure)

    if is_accepted:
        ServiceDeployer(stack, "Deployer").register(
            function(stack).current_version, environment=make(), services=["greeter"]
        )
        assert [each.get("Insecure") for each in registrations(stack)] == ["true" if insecure else None]
    else:
        with pytest.raises(ValueError, match="is plain HTTP, which exposes the API key: use https, or set ins"):
            make()


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_a_partition_where_restate_cloud_cannot_assume_roles_is_rejected(region: str) -> None:
    there = Stack(App(analytics_reporting=False), "There", env=Environment(region=region))

    with pytest.raises(ValueError, match=f"cannot assume a role in {region}"):
        RestateCloudEnvironment(there, "Restate", environment_id=ID, api_key=key(there))


def test_services_in_another_partition_than_restate_cloud_s_need_a_server() -> None:
    whole = app()
    here = Stack(whole, "Here", env=Environment(region="eu-west-1", account="111122223333"))
    there = Stack(whole, "There", env=Environment(region="cn-north-1", account="111122223333"))
    cloud = RestateCloudEnvironment(here, "Restate", environment_id=ID, api_key=key(here))
    deployer = ServiceDeployer(there, "Deployer")

    with pytest.raises(ValueError, match="use a RestateServer there"):
        deployer.register(function(there).current_version, environment=cloud, services=["greeter"])
    deployer.register(function(there, "Other").current_version, environment=server(there), services=["greeter"])


def test_an_environment_whose_services_are_registered_by_hand_needs_no_key(stack: Stack) -> None:
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=None)
    version = function(stack).current_version

    assert cloud.grant_invoke(version)
    assert [each["Effect"] for each in of_action(stack, "lambda:InvokeFunction")] == ["Allow", "Deny"]
    assert server(stack, "Server").grant_invoke(version) is None
    with pytest.raises(ValueError, match="needs an api_key to register services"):
        ServiceDeployer(stack, "Deployer").register(
            function(stack, "Other").current_version, environment=cloud, services=["greeter"]
        )


def test_no_template_contains_a_secret_s_value(stack: Stack) -> None:
    secret = Secret(stack, "Key", secret_string_value=SecretValue.ssm_secure("/key"))
    cloud = RestateCloudEnvironment(stack, "Restate", environment_id=ID, api_key=secret)
    ServiceDeployer(stack, "Deployer").register(
        function(stack).current_version, environment=cloud, services=["greeter"]
    )

    assert all("resolve:" not in str(each) for each in registrations(stack))
