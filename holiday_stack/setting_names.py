"""Refuses a misspelt name of a setting, and suggests the one that was meant.

Only this app reads an environment's file, so every name in it must be a setting. CDK (with keys that contain `:` or
`/`) and, through ~/.cdk.json, other apps use the context too, so a name in that is refused only if it resembles a
setting, and its value is no object or list: other apps have many of those, `"environments": {"dev": …}`, and no setting
is one.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

from holiday_stack.environments import SettingsError


def check_file(names: Iterable[str], settings: Collection[str]) -> None:
    """Check the names in an environment's file.

    Args:
        names: Those in the file.
        settings: Those that a file may have.

    Raises:
        SettingsError: A name is not a setting.
    """
    for name in names:
        if name not in settings:
            within = [known for known in settings if name.lower() in known.lower()]
            meant = within[0] if len(within) == 1 else _resembled(name, settings, 0.6)
            hint = f"Did you mean {meant}?" if meant else f"Settings: {', '.join(settings)}."
            raise SettingsError(f"{name} is not a setting. {hint}", name)


def check_context(context: Mapping[str, object], settings: Collection[str]) -> None:
    """Check the names in CDK's context.

    Args:
        context: CDK's context.
        settings: Those that this app reads.

    Raises:
        SettingsError: A name resembles a setting, but is none.
    """
    for name, value in context.items():
        if name in settings or re.search("[:/]", name) or isinstance(value, dict | list):
            continue
        if meant := _resembled(name, settings, 0.85):
            raise SettingsError(f"{name} is not a setting. Did you mean {meant}?", name)


def _resembled(name: str, names: Iterable[str], similarity: float) -> str | None:
    """The most similar of these names, ignoring case, hyphens and underscores, if one is similar enough."""
    lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(re.sub("[-_]", "", name).lower(), lower, n=1, cutoff=similarity)
    return lower[close[0]] if close else None
