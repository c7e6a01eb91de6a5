"""What an InvocationMonitor's metrics are named after, and which names it refuses."""

from typing import Any

import pytest
from aws_cdk import App, NestedStack, Stack, Stage
from constructs import Construct

from restate_lambda_cdk import InvocationMonitor
from stacks import resources, server


def watched(scope: Construct, **options: Any) -> InvocationMonitor:
    monitor = InvocationMonitor(scope, "Monitor", environment=server(Stack.of(scope)), **options)
    monitor.add_alarms()
    return monitor


def dimensions(stack: Stack) -> set[str]:
    """What the function publishes under, and what the alarm watches."""
    functions, alarms = (
        resources(stack, kind).values() for kind in ("AWS::Lambda::Function", "AWS::CloudWatch::Alarm")
    )
    found = [each["Properties"]["Environment"]["Variables"]["MONITOR"] for each in functions]
    watched = [each["Properties"]["Dimensions"] for each in alarms if each["Properties"]["MetricName"] != "Errors"]
    return {*found, *(each["Value"] for (each,) in watched)}


def test_one_stack_deployed_under_two_names_has_separate_metrics() -> None:
    dev, production = (Stack(App(), "Stack", stack_name=name) for name in ("dev", "production"))
    for stack in (dev, production):
        watched(stack)

    assert (dimensions(dev), dimensions(production)) == ({"dev/Monitor"}, {"production/Monitor"})


def test_the_metrics_of_two_stages_and_of_two_constructs_in_a_stack_are_separate() -> None:
    app = App()
    for stage in ("Dev", "Production"):
        stack = Stack(Stage(app, stage), "Stack")
        watched(Construct(stack, "Part"))

        assert dimensions(stack) == {f"{stage}-Stack/Part/Monitor"}


def test_in_a_nested_stack_the_name_is_that_of_the_outermost(stack: Stack) -> None:
    nested = NestedStack(NestedStack(stack, "Outer"), "Inner")  # pyright: ignore[reportArgumentType]
    watched(nested)

    assert dimensions(nested) == {"Stack/Outer/Inner/Monitor"}


@pytest.mark.parametrize("name", ["trips/reserve", "cars,flights", "pay ments", " cars", "it's", "", "9cars", "_", "ö"])
def test_a_service_name_that_restate_cannot_have_is_refused(stack: Stack, name: str) -> None:
    with pytest.raises(ValueError, match="services must list service names"):
        watched(stack, services=["cars", name])


def test_a_service_may_have_any_name_that_restate_allows(stack: Stack) -> None:
    names = ["_0", "a.b-c_d", "Greeter", "workflow2"]

    assert watched(stack, services=names).services == sorted(names)


def test_names_may_be_any_iterable(stack: Stack) -> None:
    monitor = watched(stack, services=iter(["trips", "cars"]), durations=iter(["trips/reserve"]))

    assert (monitor.services, monitor.durations) == (["cars", "trips"], ["trips/reserve"])


@pytest.mark.parametrize(
    ("count", "said"), [(3, "Invocations of service0, service1, service2 in"), (200, "200 services")]
)
def test_the_alarm_s_text_fits_however_many_services_are_watched(stack: Stack, count: int, said: str) -> None:
    watched(stack, services=[f"service{number}" for number in range(count)])

    text = next(
        str(alarm["Properties"]["AlarmDescription"])
        for name, alarm in resources(stack, "AWS::CloudWatch::Alarm").items()
        if "Stuck" in name
    )
    assert said in text and len(text) < 1024
