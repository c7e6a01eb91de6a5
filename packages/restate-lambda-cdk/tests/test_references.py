"""A version follows what it refers to: replacing a table or a topic makes a new version, and nothing else does."""

from collections.abc import Callable
from typing import Any, cast

import jsii
import pytest
from aws_cdk import (
    App,
    Aspects,
    CfnCondition,
    CfnElement,
    CfnMapping,
    CfnParameter,
    CfnResource,
    CustomResource,
    Fn,
    IAspect,
    Stack,
    Tags,
)
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from aws_cdk.aws_secretsmanager import Secret
from constructs import Construct, IConstruct

from restate_lambda_cdk import ServiceDeployer
from stacks import app, function, server, table

Change = Callable[[lambda_.Function, Construct], None]


def synthesized(change: Change, tags: str | None = None, others: str = "Others") -> tuple[str, dict[str, Any]]:
    """The version's name and the registration's variables. `change` adds variables, from resources in another stack."""
    whole = app()
    other, stack = Stack(whole, others), Stack(whole, "Stack")
    Construct(stack, "Earlier")
    greeter = function(stack)  # last: what comes before it is tagged before its version is named
    ServiceDeployer(stack, "Deployer").register(
        greeter.current_version, environment=server(stack), services=["greeter"]
    )
    change(greeter, other)
    if tags:
        Tags.of(whole).add("team", tags)
    return of(whole)


def of(whole: App) -> tuple[str, dict[str, Any]]:
    found = whole.synth().get_stack_by_name("Stack").template["Resources"]
    (version,) = (name for name, each in found.items() if each["Type"] == "AWS::Lambda::Version")
    (registration,) = (each for each in found.values() if each["Type"] == "Custom::RestateService")
    compared = registration["Properties"].get("Variables", {})
    (greeter,) = (
        each["Properties"] for name, each in found.items() if name.startswith("Greeter") and "Code" in str(each)
    )
    assert compared.items() <= greeter.get("Environment", {}).get("Variables", {}).items(), "as the function has them"
    return version, compared


def referring(key: str = "pk", **options: Any) -> Change:
    """A variable that names a table in another stack."""

    def change(greeter: lambda_.Function, other: Construct) -> None:
        greeter.add_environment("TABLE", table(other, key, **options).table_name)

    return change


def in_the_same_stack(display_name: str, **options: Any) -> Change:
    """A variable that holds the ARN of a topic in the function's stack, and more."""

    def change(greeter: lambda_.Function, _other: Construct) -> None:
        earlier = cast(Construct, greeter.stack.node.find_child("Earlier"))
        topic = sns.Topic(earlier, "Topic", display_name=display_name, **options)
        greeter.add_environment("TOPICS", f"first={topic.topic_arn}")

    return change


def through_a_parameter(key: str) -> Change:
    """A variable that holds what a parameter in Systems Manager says."""

    def change(greeter: lambda_.Function, other: Construct) -> None:
        parameter = ssm.StringParameter(other, "Parameter", string_value=table(other, key).table_name)
        greeter.add_environment("TABLE", parameter.string_value)

    return change


def test_the_same_sources_make_the_same_version() -> None:
    assert synthesized(referring()) == synthesized(referring())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (referring(), referring("id")),
        (referring(), referring(table_name="Bookings")),
        (referring(), referring(sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING))),
        (in_the_same_stack("a"), in_the_same_stack("a", topic_name="notices")),
        (in_the_same_stack("a"), in_the_same_stack("a", fifo=True)),
        (through_a_parameter("pk"), through_a_parameter("id")),
    ],
)
def test_replacing_a_table_or_a_topic_makes_a_new_version(before: Change, after: Change) -> None:
    assert synthesized(before)[0] != synthesized(after)[0]


def test_a_table_that_moves_in_the_construct_tree_or_to_another_stack_is_another_table() -> None:
    def moved(greeter: lambda_.Function, other: Construct) -> None:
        referring()(greeter, Construct(other, "Deeper"))

    versions = {
        synthesized(referring())[0],
        synthesized(moved)[0],
        synthesized(referring(), others="Elsewhere")[0],
    }
    assert len(versions) == 3


def to_a_global_table(greeter: lambda_.Function, other: Construct) -> None:
    """A global table has its tags in each replica."""
    partition_key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
    greeter.add_environment("TABLE", dynamodb.TableV2(other, "Table", partition_key=partition_key).table_name)


@pytest.mark.parametrize("change", [referring(), in_the_same_stack("a"), to_a_global_table])
def test_tags_make_no_new_version(change: Change) -> None:
    assert len({synthesized(change, tags)[0] for tags in ("red", "blue")}) == 1


def test_the_registration_compares_the_variables_with_references() -> None:
    def change(greeter: lambda_.Function, other: Construct) -> None:
        referring()(greeter, other)
        in_the_same_stack("a")(greeter, other)
        parameter = CfnParameter(greeter.stack, "Level", default="info")
        imported = dynamodb.Table.from_table_name(greeter.stack, "Imported", "Elsewhere")
        secret = Secret(greeter.stack, "Password")
        variables = {
            "LEVEL": parameter.value_as_string,
            "PLAIN": "text",
            "REGION": greeter.stack.region,
            "IMPORTED": imported.table_name,
            "PASSWORD": secret.secret_value.unsafe_unwrap(),
        }
        for name, value in variables.items():
            greeter.add_environment(name, value)

    _, compared = synthesized(change)

    assert compared.keys() == {"TABLE", "TOPICS", "LEVEL"}
    assert compared["LEVEL"] == {"Ref": "Level"}
    assert compared["TABLE"]["Fn::ImportValue"].startswith("Others:ExportsOutputRefTable")
    assert compared["TOPICS"]["Fn::Join"][1][0] == "first="


def test_references_by_logical_id_are_compared_too() -> None:
    def change(greeter: lambda_.Function, _other: Construct) -> None:
        topic = sns.Topic(cast(Construct, greeter.stack.node.find_child("Earlier")), "Topic")
        logical_id = greeter.stack.get_logical_id(cast(CfnElement, topic.node.default_child))
        variables = {
            "REF": Fn.ref(logical_id),
            "ATTRIBUTE": Fn.get_att(logical_id, "TopicName").to_string(),
            "SUB": Fn.sub(f"${{{logical_id}}}"),
            "IMPORTED": Fn.import_value("TheirTopic"),
        }
        for name, value in variables.items():
            greeter.add_environment(name, value)

    assert synthesized(change)[1].keys() == {"REF", "ATTRIBUTE", "SUB", "IMPORTED"}


def test_what_is_not_the_name_of_a_resource_alone_is_compared_as_the_function_has_it() -> None:
    def change(greeter: lambda_.Function, other: Construct) -> None:
        stack, name = greeter.stack, table(other).table_name
        mapping = CfnMapping(stack, "Tables", mapping={"eu-west-1": {"old": "bookings"}})
        CfnCondition(stack, "IsLive", expression=Fn.condition_equals(stack.region, "eu-west-1"))
        variables = {
            "JSON": stack.to_json_string({"tables": [name], "region": stack.region}),
            "ARN": stack.format_arn(service="dynamodb", resource="table", resource_name=name),
            "MAPPED": mapping.find_in_map(stack.region, "old"),
            "CONDITIONAL": Fn.condition_if("IsLive", "live", "test").to_string(),
            "ACCOUNT": stack.format_arn(service="dynamodb", resource="table", resource_name="plain"),
        }
        for variable, value in variables.items():
            greeter.add_environment(variable, value)

    assert synthesized(change)[1].keys() == {"JSON", "ARN", "MAPPED", "CONDITIONAL"}


def test_resources_without_a_cdk_class_are_followed_too() -> None:
    """A type newer than CDK, or a custom resource."""

    def change_to(key: str, tag: str = "red") -> Change:
        def change(greeter: lambda_.Function, other: Construct) -> None:
            properties = {"Key": key, "Tags": [{"Key": "team", "Value": tag}]}
            table = CfnResource(other, "Table", type="Company::Fast::Table", properties=properties)
            greeter.add_environment("TABLE", table.ref)
            custom = CustomResource(greeter.stack, "Custom", service_token="arn", properties={"Key": key})
            greeter.add_environment("QUEUE", custom.get_att_string("Queue"))

        return change

    one, same, other = (synthesized(change_to(*each)) for each in (("pk",), ("pk", "blue"), ("id",)))

    assert one[0] == same[0] != other[0]
    assert one[1].keys() == {"TABLE", "QUEUE"}


def without_references(greeter: lambda_.Function, _other: Construct) -> None:
    greeter.add_environment("NAME", "text")


def test_without_references_there_is_nothing_to_compare() -> None:
    assert synthesized(without_references)[1] == {}


def test_a_version_that_is_constructed_by_hand_is_compared_but_not_followed() -> None:
    found: list[tuple[str, dict[str, Any]]] = []
    for key in ("pk", "id"):
        whole = app()
        stack = Stack(whole, "Stack")
        greeter = function(stack, environment={"TABLE": table(stack, key).table_name})
        version = lambda_.Version(stack, "Version", lambda_=greeter)  # pyright: ignore[reportArgumentType]
        ServiceDeployer(stack, "Deployer").register(version, environment=server(stack), services=["greeter"])
        found.append(of(whole))

    assert found[0] == found[1]
    assert found[0][1]["TABLE"]["Ref"].startswith("Table")


@jsii.implements(IAspect)
class Adding:
    """An Aspect that adds a variable, which names a table."""

    def __init__(self, function: lambda_.Function, key: str) -> None:
        self.function, self.key = function, key

    def visit(self, node: IConstruct) -> None:
        if node.node.path == self.function.node.path and not node.node.scope.node.try_find_child("Table"):  # pyright: ignore[reportOptionalMemberAccess]
            self.function.add_environment("LATE", table(self.function.stack, self.key).table_name)


@pytest.mark.parametrize(("of_the_app", "versions"), [(True, 2), (False, 1)])
def test_what_another_aspect_adds_is_followed_if_it_runs_first_and_always_compared(
    of_the_app: bool, versions: int
) -> None:
    def adding(key: str) -> Change:
        def change(greeter: lambda_.Function, _other: Construct) -> None:
            Aspects.of(greeter.node.root if of_the_app else greeter).add(Adding(greeter, key))  # pyright: ignore[reportArgumentType]

        return change

    found = [synthesized(adding(key)) for key in ("pk", "id")]

    assert len({version for version, _ in found}) == versions
    assert all(compared.keys() == {"LATE"} for _, compared in found)
