"""An environment's file, `environments/<name>.toml`: the settings of one deployment, whoever deploys it.

It is under version control, so that a deployment by hand and one by CI are the same, and so it may hold no secret: what
looks like a key is refused, in a comment too, and no message repeats it.
"""

import re
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "environments"
NONE = "none"  # says that no file is read, whatever cdk.json names
_KEY = re.compile(r"(?<![\w-])(key_[A-Za-z0-9]{15}|A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])|eyJ[\w-]{10})|-----BEGIN ")


class SettingsError(ValueError):
    """A setting is missing or wrong. The message says which, why, and what to write.

    names: the settings that it is about, as they are written.
    """

    def __init__(self, message: str, *names: str) -> None:
        super().__init__(message)
        self.names = names


def shown(name: str) -> str:
    """An environment's file as messages name it."""
    return f"environments/{name}.toml"


def read(name: object, folder: Path = FOLDER) -> dict[str, object]:
    """What this environment's file says, not validated yet. Raises SettingsError."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise SettingsError(
            f"environment {name!r} must be the name of a file in environments/ without its .toml: letters, digits, - "
            f"and _ only. {_there_are(folder)}",
            "environment",
        )
    if name not in existing(folder):
        meant = f" Did you mean environmentId={name}?" if name.startswith("env_") else ""
        raise SettingsError(f"{shown(name)} not found. {_there_are(folder)}{meant}", "environment")
    try:
        text = (folder / f"{name}.toml").read_text("utf-8-sig")
        refuse_key(text, shown(name))
        file = tomllib.loads(text)
    except UnicodeDecodeError:
        raise SettingsError(f"{shown(name)} is not UTF-8 text: save it as such.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f'{shown(name)} is not valid TOML: {error}. A line is name = "value".') from None
    if "environment" in file:
        raise SettingsError(f"{shown(name)} sets environment, which -c environment=<name> chooses: leave it out.")
    return file


def existing(folder: Path = FOLDER) -> list[str]:
    """The names of the environments that have a file. The case counts, as it does where CI runs."""
    return sorted(path.stem for path in folder.glob("*.toml") if path.is_file())


def refuse_key(text: str, place: str, *names: str) -> None:
    """Raise SettingsError if it holds an API key of Restate Cloud, an access key of AWS, a private key or a token."""
    if _KEY.search(text):
        raise SettingsError(
            f"{place} holds what looks like a key. Delete the key where it was made, put a new one into Secrets "
            "Manager, and name that secret's ARN with authTokenSecretArn.",
            *names,
        )


def _there_are(folder: Path) -> str:
    names = existing(folder)
    return f"There are: {', '.join(names)}." if names else "There are none yet: docs/deploy.md shows one."
