"""What an InvocationMonitor's metrics are named after, and which names of services and handlers it accepts."""

import re
from collections.abc import Sequence

from aws_cdk import Token
from constructs import Construct

from .policies import outermost_stack

_SERVICE = r"([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9._-]*"
SERVICE_NAME = re.compile(_SERVICE)
HANDLER_NAME = re.compile(rf"{_SERVICE}/([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*")
"""Restate's rules. A name that breaks them would never be found, without a word."""
MOST_DURATIONS = 20
"""So many handlers fit into one CloudWatch request, however much their durations differ."""


def dimension(monitor: Construct) -> str:
    """The stack's name and the construct's path in it.

    Its path alone would be the same in two stacks that are one class and construct id, deployed under two names.
    """
    stack = outermost_stack(monitor)
    return f"{stack.stack_name}/{monitor.node.path.removeprefix(f'{stack.node.path}/')}"


def listed(names: Sequence[str] | None) -> Sequence[str] | None:
    """The names as a list: a generator has them only once, and they are checked first. None and text stay."""
    return names if names is None or isinstance(names, str) else [*names]


def refuse_services(services: Sequence[str] | None) -> None:
    """Raise ValueError unless this is None or lists at least one valid name."""
    if services is None:
        return
    if isinstance(services, str) or not services or not all(_fits(SERVICE_NAME, name) for name in services):
        raise ValueError(f"services must list service names, or be None for all, but is {services!r}.")


def refuse_durations(durations: Sequence[str]) -> None:
    """Raise ValueError unless this lists valid handlers, and not too many."""
    valid = not isinstance(durations, str) and all(HANDLER_NAME.fullmatch(name) for name in durations)
    if not valid or len({*durations}) > MOST_DURATIONS:
        raise ValueError(
            f"durations must list at most {MOST_DURATIONS} handlers, each as service/handler without a key, "
            f"but is {durations!r}."
        )


def _fits(pattern: re.Pattern[str], name: str) -> bool:
    return Token.is_unresolved(name) or bool(pattern.fullmatch(name))
