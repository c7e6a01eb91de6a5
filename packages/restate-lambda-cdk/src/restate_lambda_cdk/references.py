"""Makes a function's version follow the resources that its variables refer to.

CDK publishes a new version when a function changes, and names it by a hash. That hash sees `{"Ref": "Table"}`: if a
table is replaced because its keys changed, the version stays as it was, with a variable that names the old table. So
a digest of what the variables refer to goes into the function's description: each resource's type, path and
properties, in whatever stack it is, without its tags, and the same of what those properties refer to.

Not followed: imported or hand-made versions; imported resources, whose names are plain text, and resources named by a
logical id or an export, as by `Fn.ref` or `Fn.import_value`; overrides of a resource's properties or of the function's
variables; changes by an Aspect that runs later than this one, which is the function's own; a resource that is replaced
by hand; and a stack's parameters and mappings. So the references are also properties of the registration, which
compares them with what the version was published with.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, cast

import jsii
from aws_cdk import (
    Aspects,
    CfnElement,
    CfnResource,
    DefaultTokenResolver,
    IAnyProducer,
    IAspect,
    IPostProcessor,
    IResolvable,
    IResolveContext,
    Lazy,
    Reference,
    Stack,
    StringConcat,
    Token,
    Tokenization,
    TreeInspector,
)
from aws_cdk import aws_lambda as lambda_
from constructs import IConstruct

PROPERTIES = "aws:cdk:cloudformation:props"
DIGITS = 12
LONGEST_DESCRIPTION = 256
REARRANGING = {"Fn::Join", "Fn::Select", "Fn::Split", "Fn::Base64"}  # functions of nothing but their arguments
DYNAMIC = "{{resolve:"  # CloudFormation puts a secret in its place, but not in a custom resource's properties


def follow_references(function: lambda_.Function) -> None:
    """Publish a new `function.current_version` whenever a resource that its variables refer to would be replaced.

    `ServiceDeployer.register` does this by itself; call it for functions that are registered by hand.

    Args:
        function: The function whose current version is registered.
    """
    Aspects.of(function).add(_Following(function))


def referenced_variables(function: lambda_.Function) -> IResolvable:
    """The function's variables that refer to resources or parameters: {name: value}, resolved at synth."""
    return Lazy.uncached_any(_ReferencedVariables(function))  # pyright: ignore[reportArgumentType]


@jsii.implements(IAspect)
class _Following:
    def __init__(self, function: lambda_.Function) -> None:
        self._function = function
        self._is_done = False

    def visit(self, node: IConstruct) -> None:
        if self._is_done or node.node.path != self._function.node.path:
            return
        self._is_done = True
        recorder = _Recorder()
        recorder.record(_environment(self._function), self._function)
        content = [_content(resource, recorder) for resource in _reached(recorder)]
        if content:
            text = json.dumps(sorted(content, key=str), sort_keys=True)
            _describe(self._function, hashlib.sha256(text.encode()).hexdigest()[:DIGITS])


@jsii.implements(IAnyProducer)
class _ReferencedVariables:
    def __init__(self, function: lambda_.Function) -> None:
        self._function = function

    def produce(self, context: IResolveContext) -> Any:
        environment: dict[str, Any] = cast(Any, context).resolve(_environment(self._function)) or {}
        variables: dict[str, Any] = environment.get("variables") or {}
        compared = {
            name: value for name, value in variables.items() if _is_looked_up(value) and DYNAMIC not in str(value)
        }
        return compared or None


class _Recorder(DefaultTokenResolver):
    """Records the resources and parameters that a value refers to, by path, while it is resolved."""

    def __init__(self) -> None:
        super().__init__(StringConcat())  # pyright: ignore[reportArgumentType]
        self.targets: dict[str, CfnElement] = {}

    def resolve_token(self, t: IResolvable, context: IResolveContext, post_processor: IPostProcessor) -> Any:
        target = cast(Reference, t).target if Reference.is_reference(t) else None
        if target and CfnElement.is_cfn_element(target):  # and no pseudo parameter, such as the region
            self.targets[target.node.path] = cast(CfnElement, target)
        return super().resolve_token(t, context, post_processor)

    def record(self, value: Any, scope: IConstruct) -> None:
        Tokenization.resolve(value, resolver=self, scope=scope, preparing=False)  # pyright: ignore[reportArgumentType]


def _describe(function: lambda_.Function, digest: str) -> None:
    """Change the function too, and not only its version's name: Lambda publishes nothing for an unchanged function, as
    after a change that does not replace the resource, and CloudFormation treats that as a failure."""
    resource = cast(lambda_.CfnFunction, function.node.default_child)
    reference = f"refers to {digest}"
    description = resource.description or ""
    if reference not in description:
        room = LONGEST_DESCRIPTION - len(reference) - len(" ()")
        shown = description if Token.is_unresolved(description) else description[:room]
        resource.description = f"{shown} ({reference})".strip()


def _environment(function: lambda_.Function) -> Any:
    return _properties(cast(CfnResource, function.node.default_child)).get("environment")


def _properties(resource: CfnResource) -> dict[str, Any]:
    if not hasattr(resource, "inspect"):  # CfnResource itself, of which a CustomResource is made too
        return cast(Any, resource)._cfn_properties
    inspector = TreeInspector()
    cast(Any, resource).inspect(inspector)
    return inspector.attributes.get(PROPERTIES, {})


def _is_looked_up(value: Any) -> bool:
    """Whether it is or contains what CloudFormation looks up: a resource's name, a parameter, another stack's export.
    A pseudo parameter, such as the region, stays the same."""
    if isinstance(value, list):
        return any(_is_looked_up(each) for each in cast(list[Any], value))
    if not isinstance(value, dict):
        return False
    found = cast(dict[str, Any], value)
    if "Ref" in found:
        return not str(found["Ref"]).startswith("AWS::")
    return any(name not in REARRANGING or _is_looked_up(each) for name, each in found.items())


def _reached(recorder: _Recorder) -> Iterator[CfnResource]:
    """The resources that were recorded, and those that are recorded while these are looked at."""
    seen: set[str] = set()
    while new := recorder.targets.keys() - seen:
        seen |= new
        yield from (
            cast(CfnResource, recorder.targets[path])
            for path in sorted(new)
            if CfnResource.is_cfn_resource(recorder.targets[path])
        )


def _content(resource: CfnResource, recorder: _Recorder) -> list[Any]:
    """The properties whose change makes it another resource: at least those that replace it, and no tags. What they
    refer to is recorded: a parameter in Systems Manager changes with the table that it names."""
    stack = Stack.of(resource)
    properties = _without_tags(_properties(resource))
    recorder.record(properties, resource)
    logical_id, name = stack.resolve(resource.logical_id), stack.resolve(stack.stack_name)
    return [resource.cfn_resource_type, name, logical_id, _without_tags(stack.resolve(properties))]


def _without_tags(value: Any) -> Any:
    """Drops tags at any depth: a global table has them in each replica."""
    if isinstance(value, dict):
        found = cast(dict[str, Any], value)
        return {name: _without_tags(each) for name, each in found.items() if not name.lower().startswith("tag")}
    return [_without_tags(each) for each in cast(list[Any], value)] if isinstance(value, list) else value
