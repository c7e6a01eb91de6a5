"""The deployment's settings: an environment's file and CDK context in, one validated object out.

`cdk deploy -c environment=production` reads environments/production.toml; a setting in context (`-c name=value`) takes
the place of the file's. One that is missing, wrong or misspelt is a SettingsError, which says what to write instead and
where it may be set: a typo must never deploy something else than was meant. Context is shared with CDK, whose own keys
hold a `:` or `/`, and through ~/.cdk.json with other apps: there, only what resembles a setting is refused.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from holiday_stack import environments
from holiday_stack.environments import SettingsError
from holiday_stack.libraries import PYTHON, PYTHONS

CONTEXT = "by -c, or in cdk.json, cdk.context.json or ~/.cdk.json"

CHOICES = {
    "restate_region": ("us", "eu"),
    "registration": ("automatic", "manual"),
    "bundle_for": ("lambda", "host"),
    "python_runtime": PYTHONS,
}
FORMS = {
    "environment_id": (re.compile(r"env_[a-z0-9]+"), "is not of the form env_ and then lower-case letters and digits"),
    "auth_token_secret_arn": (
        re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+"),
        "is not the ARN of a Secrets Manager secret (arn:aws:secretsmanager:<region>:<account>:secret:<name>)",
    ),
    "prefix": (
        re.compile(r"[A-Za-z](-?[A-Za-z0-9]){0,49}"),
        "cannot begin a stack's name: use up to 50 letters, digits and single hyphens, beginning with a letter",
    ),
    "alarm_topic_arn": (
        re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}"),
        "is not the ARN of an SNS topic (arn:aws:sns:<region>:<account>:<name>)",
    ),
    "notification_email": (re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"), "is not an e-mail address"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen. Exactly one of `environmentId` (Restate Cloud) and `adminUrl` (any other server) is named.

    Each is a line of an environment's file, `restateRegion = "eu"`, or `-c restateRegion=eu`.

    environmentId: the Restate Cloud environment, `env_…`. Default none. It decides the two URLs, and is the external
        id without which nobody, another Restate Cloud customer included, can assume the invoker role.
    authTokenSecretArn: the Secrets Manager secret whose text is an API key with Restate's Admin role; the key is read
        at each registration and is never in the template. Required with `environmentId` unless registration is
        manual; otherwise default none, and the admin API is called without a key. An ARN with the six random characters
        at its end is granted exactly, one without them is granted with any.
    restateRegion: `us` or `eu`, where the Restate Cloud environment is. Default `us`. No effect with `adminUrl`.
    adminUrl: the admin API of a server of your own, as Lambda reaches it. Default none.
    ingressUrl: where callers reach Restate: shown as an output, and nothing else. Default: port 8080 of the admin
        API's host.
    registration: `automatic` or `manual`. Default `automatic`: a deployment registers its versions with Restate. With
        `manual` no function is made that could, and no key is needed; the outputs hold what a registration by hand
        takes. Changing a stack from `automatic` to `manual` takes its services out of Restate, like destroying it.
    prefix: several stacks in one account: the stack is named `<prefix>-HolidayStack`. Default none, `HolidayStack`.
        Another prefix is another stack with tables of its own, but the same service names in Restate: a second stack
        in the same Restate is refused.
    disposable: `true` or `false`. Default `false`: rows cannot be lost by a mistake. The tables refuse to be deleted,
        stay when the stack goes (a first deployment that failed leaves three empty ones), can be restored to any
        second of the last 35 days, and are encrypted, as the topic is, with a key of the account's whose use is
        logged. With `true`, for a demonstration, there is none of that, and the rows go with the stack.
    alarmTopicArn: an SNS topic in the stack's region that alarms go to: a function that keeps failing, one that keeps
        being throttled, a registration that failed, and, unless registration is manual, invocations that are stuck. It
        may not be encrypted with the key `alias/aws/sns`, which alarms cannot use. Default none, and there are no
        alarms, nor metrics of how many trips were booked and how long that took.
    notificationEmail: subscribed to the trips' notices, once its owner agrees to the mail from AWS. Default nobody.
    bundleFor: `lambda` or `host`. Default `lambda`. With `host` the functions only run in an emulator on a machine
        with this one's Python, operating system and CPU.
    pythonRuntime: the Python of the functions: `3.12`, `3.13` or `3.14`. Default `3.13`, the newest that is in AWS CDK,
        has wheels of restate-sdk and runs our tests.
    """

    environment_id: str | None = None
    auth_token_secret_arn: str | None = None
    restate_region: str = "us"
    admin_url: str | None = None
    ingress_url: str | None = None
    registration: str = "automatic"
    prefix: str | None = None
    disposable: bool = False
    alarm_topic_arn: str | None = None
    notification_email: str | None = None
    bundle_for: str = "lambda"
    python_runtime: str = PYTHON

    @classmethod
    def from_context(cls, context: Mapping[str, object], folder: Path = environments.FOLDER) -> "Settings":
        """Read and validate what the context names, over what the file of its `environment` does, if it names one.

        Raises SettingsError.
        """
        chosen = context.get("environment", environments.NONE)
        origins = {"environment": CONTEXT}
        try:
            file = {} if chosen == environments.NONE else environments.read(chosen, folder)
            origins |= dict.fromkeys(file, f"in {environments.shown(str(chosen))}")
            _check_file_names(file)
            origins |= dict.fromkeys(context, CONTEXT)
            _check_context_names(context)
            given = file | {name: value for name, value in context.items() if name in NAMES}
            values = {NAMES[name]: _text(name, value) for name, value in given.items()}
            disposable = values.pop("disposable", "false")
            if disposable not in ("true", "false"):
                raise SettingsError(f"disposable must be true or false, not {disposable!r}.", "disposable")
            settings = cls(**values, disposable=disposable == "true")
            settings._check_environment()
            settings._check_values()
        except SettingsError as error:
            raise SettingsError(" ".join([str(error), *_origin(error.names, origins)]), *error.names) from None
        return settings

    @property
    def stack_name(self) -> str:
        """What the stack is called."""
        return f"{self.prefix}-HolidayStack" if self.prefix else "HolidayStack"

    def _check_environment(self) -> None:
        if self.environment_id and self.admin_url:
            raise SettingsError(
                "environmentId and adminUrl are both named, but Restate is in one place: keep environmentId for "
                "Restate Cloud, or adminUrl for a server of your own.",
                "environmentId",
                "adminUrl",
            )
        if not self.environment_id and not self.admin_url:
            raise SettingsError(
                "Where is Restate? Set environmentId and authTokenSecretArn for Restate Cloud, or adminUrl for a "
                "server of your own: in environments/<name>.toml and with -c environment=<name>, or by -c adminUrl=…"
            )
        if self.registration == "manual":
            if self.auth_token_secret_arn:
                raise SettingsError(
                    "authTokenSecretArn and registration=manual are both named, but only a registration function reads "
                    "the secret: leave one of them out.",
                    "authTokenSecretArn",
                    "registration",
                )
        elif self.environment_id and not self.auth_token_secret_arn:
            raise SettingsError(
                "environmentId needs authTokenSecretArn, the ARN of the secret that holds an API key of that "
                "environment (or registration=manual).",
                "environmentId",
            )

    def _check_values(self) -> None:
        if re.fullmatch(r"2\.\d+|3\.\d|3\.1[01]", self.python_runtime):
            raise SettingsError(
                f"pythonRuntime {self.python_runtime} is too old: Lambda runs it on Amazon Linux 2, whose glibc 2.26 "
                f"cannot load restate-sdk's wheels for ARM, which need 2.28: choose {' or '.join(PYTHONS)}.",
                "pythonRuntime",
            )
        for name, value in self._named(CHOICES).items():
            if value not in CHOICES[name]:
                choices = " or ".join(CHOICES[name])
                raise SettingsError(f"{_shown(name)} must be {choices}, not {value!r}.", _shown(name))
        for name, value in self._named(FORMS).items():
            form, what_is_wrong = FORMS[name]
            if not form.fullmatch(value):  # what was meant for the secret may be what belongs into it
                said = "" if name == "auth_token_secret_arn" else f" {value!r}"
                raise SettingsError(f"{_shown(name)}{said} {what_is_wrong}.", _shown(name))
        for name, value in self._named(("admin_url", "ingress_url")).items():
            if not _is_url(value):
                said = " with a password or key in it" if "@" in value else f" {value!r}"
                raise SettingsError(
                    f"{_shown(name)}{said} is not a URL such as https://restate.example.com:9070.", _shown(name)
                )

    def _named(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these settings that are given or have a default."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _shown(name: str) -> str:
    """A setting as it is written in context: `environmentId`."""
    return re.sub(r"_(.)", lambda hump: hump[1].upper(), name)


NAMES = {_shown(name): name for name in Settings.__dataclass_fields__}


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        extra = parts.username or parts.password or parts.query or parts.fragment
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not extra
    except ValueError:
        return False


def not_settings(context: Mapping[str, object]) -> list[str]:
    """What is in the context and is neither a setting nor CDK's: another app's, or a name that resembles none."""
    return [name for name in context if name.isidentifier() and name not in (*NAMES, "environment")]


def _check_file_names(file: Mapping[str, object]) -> None:
    """The file is this app's alone, so every name in it must be a setting."""
    for name in file:
        if name not in NAMES:
            within = [known for known in NAMES if name.lower() in known.lower()]
            meant = within[0] if len(within) == 1 else _resembled(name, NAMES, 0.6)
            hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(NAMES)}."
            raise SettingsError(f"{name} is not a setting. {hint}", name)


def _check_context_names(context: Mapping[str, object]) -> None:
    names = (*NAMES, "environment")
    for name in context:
        if name not in names and not re.search("[:/]", name) and (meant := _resembled(name, names, 0.85)):
            raise SettingsError(f"{name} is not a setting. Did you mean {meant}?", name)


def _resembled(name: str, names: Iterable[str], similarity: float) -> str | None:
    """The one of these names that it most resembles, whatever its case, hyphens and underscores."""
    lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(re.sub("[-_]", "", name).lower(), lower, n=1, cutoff=similarity)
    return lower[close[0]] if close else None


def _text(name: str, value: object) -> str:
    if name == "disposable" and isinstance(value, bool):
        return str(value).lower()
    if name == "disposable" and not isinstance(value, str):
        raise SettingsError(f"disposable must be true or false, not {json.dumps(value, default=str)}.", name)
    if not isinstance(value, str):
        raise SettingsError(f"{name} must be a string, in quotes, not {json.dumps(value, default=str)}.", name)
    environments.refuse_key(value, name, name)
    if not value.strip():
        raise SettingsError(f"{name} is empty: give it a value, or leave it out.", name)
    return value.strip()


def _origin(names: Iterable[str], origins: Mapping[str, str]) -> list[str]:
    """Where each of them is set, in one sentence."""
    places = {name: origins[name] for name in names if name in origins}
    if len(set(places.values())) == 1:
        return [f"Set {next(iter(places.values()))}."]
    return ["; ".join(f"{name} is set {place}" for name, place in places.items()) + "."] if places else []
