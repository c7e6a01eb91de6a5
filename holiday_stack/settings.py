"""The deployment's settings: CDK context in (`cdk deploy -c name=value`), one validated object out.

A setting that is missing, wrong or misspelt is a SettingsError, whose one sentence says what to write instead: a typo
must never deploy something else than was meant. CDK keeps its own keys in context too; those hold a `:`, `/` or `@`.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from holiday_stack.libraries import PYTHON, PYTHONS

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


class SettingsError(ValueError):
    """A setting is missing or wrong. The message says which, why, and what to write."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen. Exactly one of `environmentId` (Restate Cloud) and `adminUrl` (any other server) is named.

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
    registration: `automatic` or `manual`. Default `automatic`: a deployment introduces its versions to Restate. With
        `manual` no function is made that could, and no key is needed; the outputs hold what an introduction by hand
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
    def from_context(cls, context: Mapping[str, object]) -> "Settings":
        """Read and validate. Raises SettingsError."""
        values: dict[str, str] = {}
        for name, value in context.items():
            if name in NAMES:
                if not isinstance(value, str) or not value.strip():
                    raise SettingsError(f"{name} is empty or not a text: write -c {name}=value, or leave it out.")
                values[NAMES[name]] = value.strip()
            elif name.isidentifier():
                raise SettingsError(f"{name} is not a setting. {_meant(name)}")
        disposable = values.pop("disposable", "false")
        if disposable not in ("true", "false"):
            raise SettingsError(f"disposable {disposable!r} is neither true nor false.")
        settings = cls(**values, disposable=disposable == "true")
        settings._check_environment()
        settings._check_values()
        return settings

    @property
    def stack_name(self) -> str:
        """What the stack is called."""
        return f"{self.prefix}-HolidayStack" if self.prefix else "HolidayStack"

    def _check_environment(self) -> None:
        if self.environment_id and self.admin_url:
            raise SettingsError(
                "environmentId and adminUrl are both named, but Restate is in one place: keep environmentId for "
                "Restate Cloud, or adminUrl for a server of your own."
            )
        if not self.environment_id and not self.admin_url:
            raise SettingsError(
                "Where is Restate? Name -c environmentId=env_… and -c authTokenSecretArn=arn:… for Restate Cloud, or "
                "-c adminUrl=http://… for a server of your own."
            )
        if self.registration == "manual":
            if self.auth_token_secret_arn:
                raise SettingsError(
                    "authTokenSecretArn and registration=manual are both named, but only a registration function reads "
                    "the secret: leave one of them out."
                )
        elif self.environment_id and not self.auth_token_secret_arn:
            raise SettingsError(
                "environmentId needs -c authTokenSecretArn=arn:…, the secret that holds an API key of that environment "
                "(or -c registration=manual)."
            )

    def _check_values(self) -> None:
        if re.fullmatch(r"2\.\d+|3\.\d|3\.1[01]", self.python_runtime):
            raise SettingsError(
                f"pythonRuntime {self.python_runtime} is too old: Lambda runs it on Amazon Linux 2, whose glibc 2.26 "
                f"cannot load restate-sdk's wheels for ARM, which need 2.28: choose {' or '.join(PYTHONS)}."
            )
        for name, value in self._named(CHOICES).items():
            if value not in CHOICES[name]:
                raise SettingsError(f"{_shown(name)} {value!r} is unknown: choose {' or '.join(CHOICES[name])}.")
        for name, value in self._named(FORMS).items():
            form, what_is_wrong = FORMS[name]
            if not form.fullmatch(value):
                raise SettingsError(f"{_shown(name)} {value!r} {what_is_wrong}.")
        for name, value in self._named(("admin_url", "ingress_url")).items():
            if not _is_url(value):
                raise SettingsError(f"{_shown(name)} {value!r} is not a URL such as https://restate.example.com:9070.")

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


def _meant(name: str) -> str:
    lower = {known.lower(): known for known in NAMES}
    close = difflib.get_close_matches(name.replace("_", "").lower(), lower, n=1)
    return f"Did you mean {lower[close[0]]}?" if close else f"There are: {', '.join(NAMES)}."
