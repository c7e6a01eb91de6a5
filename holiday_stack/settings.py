"""The deployment's settings: an environment's file and CDK context in, one validated object out.

`cdk deploy -c environment=production` reads environments/production.toml; a setting in context (`-c name=value`)
overrides the file's. A missing, wrong or misspelt one is a SettingsError, which says what to write instead and where it
is set: a typo must never deploy the wrong thing.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from holiday_stack import environments, setting_names
from holiday_stack.environments import SettingsError
from holiday_stack.libraries import PYTHON, PYTHONS

CONTEXT = "with -c, or in cdk.json, cdk.context.json or ~/.cdk.json"

CHOICES = {
    "restate_region": ("us", "eu"),
    "registration": ("automatic", "manual"),
    "bundle_for": ("lambda", "host"),
    "python_runtime": PYTHONS,
}
FORMS = {
    "environment_id": (re.compile(r"env_[a-z0-9]+"), "must be env_ followed by lower-case letters and digits"),
    "auth_token_secret_arn": (
        re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+"),
        "must be the ARN of a Secrets Manager secret (arn:aws:secretsmanager:<region>:<account>:secret:<name>)",
    ),
    "prefix": (
        re.compile(r"[A-Za-z](-?[A-Za-z0-9]){0,49}"),
        "must be up to 50 letters, digits and single hyphens, beginning with a letter",
    ),
    "alarm_topic_arn": (
        re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}"),
        "must be the ARN of an SNS topic (arn:aws:sns:<region>:<account>:<name>)",
    ),
    "notification_email": (re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"), "must be an e-mail address"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set. Exactly one of `environment_id` (Restate Cloud) and `admin_url` (self-hosted) is required.

    Each is a line of an environment's file, or an option, in camel case: `restate_region` is `restateRegion = "eu"` or
    `-c restateRegion=eu`.

    Attributes:
        environment_id: The Restate Cloud environment, `env_…`. Default: none. It decides the two URLs, and is the
            external id without which nobody can assume the invoker role, not even another Restate Cloud customer.
        auth_token_secret_arn: The ARN of a Secrets Manager secret whose text is an API key with Restate's Admin role.
            The key is read at each registration and is never in the template. Required with `environment_id` unless
            registration is manual; otherwise the default is none, and the admin API is called without a key. An ARN
            that ends in its six random characters grants exactly that secret; one without them grants the name with
            any six.
        restate_region: `us` or `eu`, where the Restate Cloud environment is. Default: `us`. No effect with `admin_url`.
        admin_url: The admin API's URL on a self-hosted server, as Lambda reaches it. Default: none.
        ingress_url: The URL that callers use, only shown as an output. Default: port 8080 of the admin API's host.
        registration: `automatic` or `manual`. Default: `automatic`, a deployment registers its versions with Restate.
            With `manual` there is no function for it and no key is needed; the outputs have what a registration by hand
            needs. Changing a stack from `automatic` to `manual` deregisters its services, like destroying it.
        prefix: For several stacks in one account: the stack is named `<prefix>-HolidayStack`. Default: none,
            `HolidayStack`. Another prefix is another stack with its own tables, but the same service names in Restate:
            a second stack in the same Restate is refused.
        disposable: In context and in the file, `true` or `false`. Default: `false`, no mistake loses rows. The tables
            are protected from deletion, are retained when the stack is deleted (a failed first deployment leaves three
            empty ones), can be restored to any second of the last 35 days and, like the topic, are encrypted with a key
            of the account whose use is logged. With `true`, for a demonstration, there is none of that, and the rows
            are deleted with the stack.
        alarm_topic_arn: The ARN of an SNS topic in the stack's region that alarms go to: a function that keeps failing,
            one that keeps being throttled, a registration that failed, and, unless registration is manual, invocations
            that are stuck. It must not be encrypted with the key `alias/aws/sns`, which alarms cannot use. Default:
            none, no alarms, and no metrics of how many trips were booked and how long they took.
        notification_email: The address that gets the trips' notices, once its owner confirms AWS's e-mail. Default:
            none.
        bundle_for: `lambda` or `host`. Default: `lambda`. With `host`, the functions run only in an emulator, on a
            machine with the Python, operating system and CPU of this one.
        python_runtime: The Python of the functions: `3.12`, `3.13` or `3.14`. Default: `3.13`, the newest that AWS CDK
            knows, restate-sdk has wheels for and our tests run on.
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
        """Read and validate the settings.

        Args:
            context: CDK's context. Its settings override those of the file of its `environment`, if it names one.
            folder: Where the environments' files are.

        Returns:
            The settings, all of them valid, with defaults for those that are not set.

        Raises:
            SettingsError: A setting is missing, wrong or unknown.
        """
        chosen = context.get("environment", environments.NONE)
        origins = {"environment": CONTEXT}
        try:
            file = environments.read(chosen, folder)
            origins |= dict.fromkeys(file, f"in {environments.shown(str(chosen))}")
            setting_names.check_file(file, NAMES)
            origins |= dict.fromkeys(context, CONTEXT)
            setting_names.check_context(context, (*NAMES, "environment"))
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
        """The stack's name in CloudFormation, with the prefix."""
        return f"{self.prefix}-HolidayStack" if self.prefix else "HolidayStack"

    def _check_environment(self) -> None:
        if self.environment_id and self.admin_url:
            raise SettingsError(
                "environmentId and adminUrl must not both be set: keep environmentId for Restate Cloud, or adminUrl "
                "for a self-hosted server.",
                "environmentId",
                "adminUrl",
            )
        if not self.environment_id and not self.admin_url:
            raise SettingsError(
                "Where is Restate? Set environmentId and authTokenSecretArn for Restate Cloud, or adminUrl for a "
                "self-hosted server: in environments/<name>.toml with -c environment=<name>, or with -c adminUrl=…"
            )
        if self.registration == "manual":
            if self.auth_token_secret_arn:
                raise SettingsError(
                    "authTokenSecretArn and registration=manual must not both be set, because only automatic "
                    "registration reads the secret: leave one of them out.",
                    "authTokenSecretArn",
                    "registration",
                )
        elif self.environment_id and not self.auth_token_secret_arn:
            raise SettingsError(
                "environmentId requires authTokenSecretArn, the ARN of a secret with an API key for that environment "
                "(or registration=manual).",
                "environmentId",
            )

    def _check_values(self) -> None:
        if re.fullmatch(r"2\.\d+|3\.\d|3\.1[01]", self.python_runtime):
            raise SettingsError(
                f"pythonRuntime {self.python_runtime} is too old: Lambda runs it on Amazon Linux 2, whose glibc 2.26 "
                f"cannot load restate-sdk's wheels for ARM, which need 2.28: use {' or '.join(PYTHONS)}.",
                "pythonRuntime",
            )
        for name, value in self._named(CHOICES).items():
            if value not in CHOICES[name]:
                choices = " or ".join(CHOICES[name])
                raise SettingsError(f"{_shown(name)} must be {choices}, not {value!r}.", _shown(name))
        for name, value in self._named(FORMS).items():
            form, requirement = FORMS[name]
            if not form.fullmatch(value):  # instead of the ARN, this may be the secret itself
                said = "" if name == "auth_token_secret_arn" else f" {value!r}"
                raise SettingsError(f"{_shown(name)}{said} {requirement}.", _shown(name))
        for name, value in self._named(("admin_url", "ingress_url")).items():
            if not _is_url(value):
                said = "" if "@" in value else f" {value!r}"  # it may be a password
                raise SettingsError(
                    f"{_shown(name)}{said} must be a URL such as https://restate.example.com:9070, without user, "
                    "password, query or fragment.",
                    _shown(name),
                )

    def _named(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these settings that are set or have a default."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _shown(name: str) -> str:
    """A setting as the user writes it: `environmentId`."""
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
    """The names in the context that are ignored, because they are neither settings nor CDK's.

    Args:
        context: CDK's context.

    Returns:
        The names, in the context's order.
    """
    return [name for name in context if name.isidentifier() and name not in (*NAMES, "environment")]


def _text(name: str, value: object) -> str:
    if name == "disposable" and isinstance(value, bool):
        return str(value).lower()
    if name == "disposable" and not isinstance(value, str):
        raise SettingsError(f"disposable must be true or false, not {json.dumps(value, default=str)}.", name)
    if not isinstance(value, str):
        raise SettingsError(f"{name} must be a string, in quotes, not {json.dumps(value, default=str)}.", name)
    environments.refuse_key(value, name, name)
    if not value.strip():
        raise SettingsError(f"{name} must not be empty: give it a value or leave it out.", name)
    return value.strip()


def _origin(names: Iterable[str], origins: Mapping[str, str]) -> list[str]:
    """Where each of these settings is set, in one sentence."""
    places = {name: origins[name] for name in names if name in origins}
    if len(set(places.values())) == 1:
        return [f"Set {next(iter(places.values()))}."]
    return ["; ".join(f"{name} is set {place}" for name, place in places.items()) + "."] if places else []
