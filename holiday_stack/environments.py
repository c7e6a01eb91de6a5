"""An environment's file, `environments/<name>.toml`: the settings of one deployment, by hand or by CI.

It is under version control, so it must not contain a secret: whatever looks like a key is refused, even in a comment,
and no message repeats it.
"""

import re
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "environments"
NONE = "none"  # reads no file, whatever cdk.json names
_KEY = re.compile(r"(?<![\w-])(key_[A-Za-z0-9]{15}|A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])|eyJ[\w-]{10})|-----BEGIN ")


class SettingsError(ValueError):
    """A setting is missing or wrong. The message says which, why, and what to write.

    Args:
        message: The sentence for the user.
        names: The settings that it is about, as the user writes them.
    """

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


def shown(name: str) -> str:
    """The path of an environment's file, for messages."""
    return f"environments/{name}.toml"


def read(name: object, folder: Path = FOLDER) -> dict[str, object]:
    """Read an environment's file, without validating its settings.

    Args:
        name: The file's name without `.toml`, or `none` for no file.
        folder: Where the files are.

    Returns:
        The settings as TOML values; none without a file.

    Raises:
        SettingsError: The name is invalid, the file is missing, unreadable or contains a key, or it is `none.toml`.
    """
    if NONE in existing(folder):
        raise SettingsError(f"{shown(NONE)} is never read, as -c environment={NONE} means no file: rename it.")
    if name == NONE:
        return {}
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise SettingsError(
            f"environment {name!r} must be the name of a file in environments/ without .toml: only letters, digits, - "
            f"and _. {_there_are(folder)}",
            "environment",
        )
    if name not in existing(folder):
        meant = f" Did you mean environmentId={name}?" if name.startswith("env_") else ""
        raise SettingsError(f"{shown(name)} not found. {_there_are(folder)}{meant}", "environment")
    try:
        text = (folder / f"{name}.toml").read_text("utf-8-sig")
        refuse_key(text, shown(name))
        file = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{shown(name)} cannot be read: {error.strerror}.", "environment") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown(name)} is not UTF-8 text: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f'{shown(name)} is not valid TOML: {error}. A line is name = "value".') from None
    if "environment" in file:
        raise SettingsError(f"{shown(name)} must not set environment, which -c environment=<name> does: leave it out.")
    return file


def existing(folder: Path = FOLDER) -> list[str]:
    """The names of the environments that have a file. They are case-sensitive, as on CI's file system."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def refuse_key(text: str, place: str, *names: str) -> None:
    """Raise SettingsError if the text contains a Restate Cloud API key, an AWS access key, a private key or a token."""
    if _KEY.search(text):
        raise SettingsError(
            f"{place} holds what looks like a key. Revoke it, store a new one in Secrets Manager, and set "
            "authTokenSecretArn to that secret's ARN.",
            *names,
        )


def _there_are(folder: Path) -> str:
    names = existing(folder)
    return f"Environments: {', '.join(names)}." if names else "There are no environments yet: docs/deploy.md shows one."
