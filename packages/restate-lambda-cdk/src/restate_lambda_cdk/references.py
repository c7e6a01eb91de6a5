"""Makes a function's version follow the resources that its variables refer to.

CDK publishes a new version when a function changes, and names it by a hash. That hash sees `{"Ref": "Table"}`: if a
table is replaced because its keys changed, the version stays as it was, with a variable that names the old table. So
a digest of what the variables refer to goes into the function's description: each resource's type, path and
properties, in whatever stack it is, without its tags.

Not followed: imported or hand-made versions; imported resources, whose names are plain text, and resources named by a
logical id, as by `Fn.ref`; overrides of a resource's properties or of the function's variables; changes by an Aspect
that runs later than this one, which is the function's own; a resource that is replaced by hand, or because another one
is; and a stack's parameters. So the references are also properties of the registration, which compares them with what
the version was published with.
"""

import hashlib
import json
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
LOOKED_UP = {"Ref", "Fn::GetAtt", "Fn::ImportValue", "Fn::Sub"}
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
        recorder.resolve(_variables(self._function), self._function)
        content = [_content(target) for target in recorder.targets.values() if CfnResource.is_cfn_resource(target)]
        if content:
            text = json.dumps(sorted(content, key=str), sort_keys=True)
            _describe(self._function, hashlib.sha256(text.encode()).hexdigest()[:DIGITS])


@jsii.implements(IAnyProducer)
class _ReferencedVariables:
    def __init__(self, function: lambda_.Function) -> None:
        self._function = function

    def produce(self, _context: IResolveContext) -> Any:
        variables: dict[str, Any] = {}
        for name, value in _variables(self._function).items():
            recorder = _Recorder()
            recorder.resolve(value, self._function)
            if (recorder.targets or _names_another(value)) and DYNAMIC not in str(value):
                variables[name] = value
        return variables or None


class _Recorder(DefaultTokenResolver):
    """Resolves everything except references, which stay tokens, and records the paths that they refer to."""

    def __init__(self) -> None:
        super().__init__(StringConcat())  # pyright: ignore[reportArgumentType]
        self.targets: dict[str, CfnElement] = {}

    def resolve_token(self, t: IResolvable, context: IResolveContext, post_processor: IPostProcessor) -> Any:
        if not Reference.is_reference(t):
            return super().resolve_token(t, context, post_processor)
        target = cast(Reference, t).target
        if CfnElement.is_cfn_element(target):  # and no pseudo parameter, such as the region
            self.targets[target.node.path] = cast(CfnElement, target)
        return Token.as_string(t)

    def resolve(self, value: Any, scope: IConstruct) -> Any:
        return Tokenization.resolve(value, resolver=self, scope=scope, preparing=False)  # pyright: ignore[reportArgumentType]


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


def _variables(function: lambda_.Function) -> dict[str, Any]:
    resource = cast(CfnResource, function.node.default_child)
    environment: dict[str, Any] = _Recorder().resolve(_properties(resource).get("environment"), function) or {}
    return environment.get("variables") or {}


def _properties(resource: CfnResource) -> dict[str, Any]:
    if not hasattr(resource, "inspect"):  # CfnResource itself, of which a CustomResource is made too
        return cast(Any, resource)._cfn_properties
    inspector = TreeInspector()
    cast(Any, resource).inspect(inspector)
    return inspector.attributes.get(PROPERTIES, {})


def _names_another(value: Any) -> bool:
    """Whether it is or contains what CloudFormation looks up and CDK does not: `Fn.ref`, `Fn.import_value`."""
    if isinstance(value, list):
        return any(_names_another(each) for each in cast(list[Any], value))
    found = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    is_pseudo_parameter = str(found.get("Ref", "")).startswith("AWS::")
    return (not LOOKED_UP.isdisjoint(found) and not is_pseudo_parameter) or _names_another([*found.values()])


def _content(resource: CfnElement) -> list[Any]:
    """The properties whose change makes it another resource: at least those that replace it, and no tags."""
    found = cast(CfnResource, resource)
    stack = Stack.of(found)
    logical_id, name = stack.resolve(found.logical_id), stack.resolve(stack.stack_name)
    return [found.cfn_resource_type, name, logical_id, _without_tags(stack.resolve(_properties(found)))]


def _without_tags(value: Any) -> Any:
    """Drops tags at any depth: a global table has them in each replica."""
    if isinstance(value, dict):
        found = cast(dict[str, Any], value)
        return {name: _without_tags(each) for name, each in found.items() if not name.lower().startswith("tag")}
    return [_without_tags(each) for each in cast(list[Any], value)] if isinstance(value, list) else value
