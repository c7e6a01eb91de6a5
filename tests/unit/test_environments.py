"""An environment's file: what it sets, what overrides it, and the error for each mistake."""

from pathlib import Path
from typing import cast

import pytest

from demo.cloud import HolidayCloud, refuse_settings
from holiday_stack.settings import Settings, SettingsError
from localcloud.environment import ROOT, LocalCloudError
from localcloud.ports import Ports

OWN = 'adminUrl = "http://restate.example.com:9070"\n'
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"
IN_FILE = "Set in environments/production.toml."
IN_CONTEXT = "Set with -c, or in cdk.json, cdk.context.json or ~/.cdk.json."


def settings(folder: Path, file: str, context: dict[str, object] | None = None) -> Settings:
    """The settings of a deployment to `production` with this file."""
    (folder / "production.toml").write_text(file)
    return Settings.from_context({"environment": "production", **(context or {})}, folder)


def refusal(folder: Path, file: str, context: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        settings(folder, file, context)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_read_like_context(tmp_path: Path) -> None:
    file = f'{OWN}prefix = "ann"\nalarmTopicArn = "{TOPIC}"\npythonRuntime = "3.12"\ndisposable = true\n'

    expected = {"adminUrl": "http://restate.example.com:9070", "prefix": "ann", "alarmTopicArn": TOPIC}
    expected |= {"pythonRuntime": "3.12", "disposable": "true"}
    assert settings(tmp_path, file) == Settings.from_context(expected)


def test_context_overrides_single_settings_of_the_file(tmp_path: Path) -> None:
    found = settings(tmp_path, f'{OWN}prefix = "ann"\npythonRuntime = "3.12"\n', {"prefix": "ben"})

    assert (found.prefix, found.python_runtime) == ("ben", "3.12")


def test_no_file_is_read_unless_an_environment_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "production.toml").write_text("not TOML")
    own = {"adminUrl": "http://127.0.0.1:9070"}

    assert Settings.from_context(own, tmp_path) == Settings.from_context(own | {"environment": "none"}, tmp_path)


@pytest.mark.parametrize("context", [{}, {"environment": "none"}, {"environment": "production"}])
def test_a_file_that_would_never_be_read_is_rejected(tmp_path: Path, context: dict[str, object]) -> None:
    for name in ("none", "production"):
        (tmp_path / f"{name}.toml").write_text(OWN)

    with pytest.raises(SettingsError, match=r"^environments/none.toml is never read, .* means no file: rename it\.$"):
        Settings.from_context({"adminUrl": "http://127.0.0.1:9070", **context}, tmp_path)


def test_a_file_that_cannot_be_read_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "production.toml").mkdir()

    with pytest.raises(SettingsError) as error:
        Settings.from_context({"environment": "production"}, tmp_path)

    assert str(error.value) == f"environments/production.toml cannot be read: Is a directory. {IN_CONTEXT}"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert settings(tmp_path, f"\ufeff{OWN}").admin_url == "http://restate.example.com:9070"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            OWN + 'colour = "blue"',
            f"colour is not a setting. Settings: environmentId, authTokenSecretArn, {{}}{IN_FILE}",
        ),
        (OWN + 'restate_regoin = "eu"', f"restate_regoin is not a setting. Did you mean restateRegion? {IN_FILE}"),
        (OWN + 'region = "eu"', f"region is not a setting. Did you mean restateRegion? {IN_FILE}"),
        (
            OWN + 'environment = "production"',
            "environments/production.toml must not set environment, which -c environment=<name> does: leave it out.",
        ),
        (OWN + 'restateRegion = "mars"', f"restateRegion must be us or eu, not 'mars'. {IN_FILE}"),
        (OWN + "pythonRuntime = 3.13", f"pythonRuntime must be a string, in quotes, not 3.13. {IN_FILE}"),
        (OWN + "prefix = true", f"prefix must be a string, in quotes, not true. {IN_FILE}"),
        (OWN + "disposable = 1", f"disposable must be true or false, not 1. {IN_FILE}"),
        (OWN + 'disposable = "yes"', f"disposable must be true or false, not 'yes'. {IN_FILE}"),
        (OWN + 'prefix = ["a"]', f'prefix must be a string, in quotes, not ["a"]. {IN_FILE}'),
        (OWN + "prefix = 2026-11-28", f'prefix must be a string, in quotes, not "2026-11-28". {IN_FILE}'),
        (OWN + 'prefix = " "', f"prefix must not be empty: give it a value or leave it out. {IN_FILE}"),
        ('[production]\nprefix = "a"', f"production is not a setting. Settings: {{}}{IN_FILE}"),
        ('environmentId = "env_1"', f"environmentId requires authTokenSecretArn, {{}}{IN_FILE}"),
        ("", "Where is Restate? Set environmentId and authTokenSecretArn {}"),
        (OWN + "prefix = ann", "environments/production.toml is not valid TOML: {} (at line 2, column 10). {}"),
        (OWN + OWN, "environments/production.toml is not valid TOML: {} (at line 2, column {}"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_the_setting_and_what_to_do(tmp_path: Path, file: str, said: str) -> None:
    message = refusal(tmp_path, file)

    begin, *more = said.split("{}")
    assert message.startswith(begin)
    assert all(part in message for part in more) and message.endswith(more[-1] if more else begin)


def test_a_file_that_is_not_utf_8_is_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "production.toml").write_bytes(b'prefix = "\xff"')

    with pytest.raises(SettingsError, match=r"environments/production.toml is not UTF-8 text"):
        Settings.from_context({"environment": "production"}, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prod", "environments/prod.toml not found. Environments: production, staging."),
        ("Production", "environments/Production.toml not found."),  # also where the file system ignores the case
        ("env_201j7wcvz", "not found. Environments: production, staging. Did you mean environmentId=env_201j7wcvz?"),
        ("../production", "environment '../production' must be the name of a file in environments/ without .toml"),
        ("/etc/passwd", "environment '/etc/passwd' must be the name of a file"),
        ("a\\b", "must be the name of a file in environments/"),
        (
            "production.toml",
            "environment 'production.toml' must be the name of a file in environments/ without .toml",
        ),
        ("", "environment '' must be the name of a file in environments/"),
        (".", "must be the name of a file"),
        ("production\n", "must be the name of a file"),
        (["production"], "environment ['production'] must be the name of a file"),
    ],
)
def test_the_error_for_an_unknown_environment_lists_the_known_ones(tmp_path: Path, name: object, said: str) -> None:
    for existing in ("staging", "production"):
        (tmp_path / f"{existing}.toml").write_text(OWN)

    with pytest.raises(SettingsError) as error:
        Settings.from_context({"environment": name}, tmp_path)

    assert said in str(error.value)
    assert str(error.value).endswith(IN_CONTEXT)


def test_without_any_file_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"production.toml not found. There are no environments yet: docs"):
        Settings.from_context({"environment": "production"}, tmp_path / "missing")


def test_the_error_for_a_contradiction_says_where_each_setting_is_set(tmp_path: Path) -> None:
    message = refusal(tmp_path, OWN, {"environmentId": "env_1"})

    assert message.endswith(
        "environmentId is set with -c, or in cdk.json, cdk.context.json or ~/.cdk.json; adminUrl is set in "
        "environments/production.toml."
    )


SECRETS = {  # made up
    "an API key of Restate Cloud": "key_10mJfXBpBNC2wLpZ5TnuLtr.9wA7cRrT1",
    "an access key of AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a private key": "-----BEGIN " + "PRIVATE KEY-----",
    "a token": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIi",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "line", ['authTokenSecretArn = "{}"', 'apiKey = "{}"', "# {}", 'prefix = "{}', "authTokenSecretArn = {}"]
)
def test_a_key_in_a_file_is_rejected_without_repeating_it(tmp_path: Path, line: str, secret: str) -> None:
    message = refusal(tmp_path, OWN + line.format(secret))

    assert message.startswith("environments/production.toml holds what looks like a key.")
    assert "Secrets Manager" in message and "authTokenSecretArn" in message
    assert secret[:12] not in message


@pytest.mark.parametrize("name", ["authTokenSecretArn", "adminUrl", "environmentId"])
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_key_in_context_is_rejected_without_repeating_it(name: str, secret: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_context({name: secret})

    assert str(error.value).startswith(f"{name} holds what looks like a key.")
    assert secret[:12] not in str(error.value)


def test_a_possible_key_of_another_form_is_not_repeated_either() -> None:
    for context in (
        {"adminUrl": "https://ann:hunter2@host"},
        {"environmentId": "env_1", "authTokenSecretArn": "hunter2"},
    ):
        with pytest.raises(SettingsError) as error:
            Settings.from_context(context)

        assert "hunter2" not in str(error.value)


def test_text_that_only_resembles_a_key_is_accepted(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:restate-key_production-AbCdEf"

    found = settings(
        tmp_path, f'# my-key_10mJfXBpBNC2wLpZ5TnuLtr\nenvironmentId = "env_201key"\nauthTokenSecretArn = "{arn}"\n'
    )

    assert found.auth_token_secret_arn == arn


def test_an_environment_in_cdk_json_does_not_affect_the_local_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given what `make up` passes to cdk, and a cdk.json that chooses an environment with settings of its own
    passed: dict[str, object] = {}

    def record(*given: object) -> dict[str, dict[str, str]]:
        passed.update(cast(dict[str, object], given[-1]))
        return {}

    (tmp_path / "production.toml").write_text(f'environmentId = "env_1"\nalarmTopicArn = "{TOPIC}"\n')
    cloud = HolidayCloud(tmp_path, Ports.free())
    monkeypatch.setattr(cloud, "_deploy", record)
    cloud.deploy()

    # when both reach the app
    found = Settings.from_context({"environment": "production", "adminUrl": cloud.admin_url} | passed, tmp_path)

    # then the file is not read
    assert found == Settings(admin_url=cloud.admin_url, bundle_for="host", disposable=True)


OVERRIDDEN = {"environment", "adminUrl"}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cdk.json", '{"context": {"environment": "production", "prefix": "ann", "alarmTopicArn": "arn"}}'),
        ("cdk.context.json", '{"prefix": "ann", "stage": "dev", "alarmTopicArn": "arn"}'),
    ],
)
def test_settings_in_the_files_of_cdk_are_refused_by_the_local_cloud(tmp_path: Path, name: str, file: str) -> None:
    (tmp_path / name).write_text(file)

    with pytest.raises(
        LocalCloudError, match=rf"^{name} sets prefix, alarmTopicArn, which .* environments/<name>\.toml"
    ):
        refuse_settings(tmp_path, OVERRIDDEN)


@pytest.mark.parametrize("file", ['{"context": {"environment": "production", "adminUrl": "http://x"}}', "[]", "{"])
def test_other_context_in_the_files_of_cdk_is_none_of_the_local_cloud_s_business(tmp_path: Path, file: str) -> None:
    (tmp_path / "cdk.json").write_text(file)

    refuse_settings(tmp_path, OVERRIDDEN)
    refuse_settings(ROOT, OVERRIDDEN)
