"""Settings from CDK context: what is accepted, and the error for each mistake."""

import pytest

from holiday_stack.settings import Settings, SettingsError, not_settings

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:restate/key-AbCdEf"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"
CLOUD = {"environmentId": "env_201hy10cd3h6426jy80tb32n6en", "authTokenSecretArn": SECRET}
OWN = {"adminUrl": "http://127.0.0.1:9070"}
IN_CONTEXT = "Set with -c, or in cdk.json, cdk.context.json or ~/.cdk.json."


def test_restate_cloud_is_named_by_its_environment_and_a_secret() -> None:
    settings = Settings.from_context(CLOUD)

    assert (settings.environment_id, settings.auth_token_secret_arn) == (CLOUD["environmentId"], SECRET)
    assert (settings.restate_region, settings.admin_url, settings.bundle_for) == ("us", None, "lambda")


def test_a_self_hosted_server_is_named_by_its_admin_url() -> None:
    settings = Settings.from_context(OWN)

    assert settings == Settings(admin_url="http://127.0.0.1:9070")


def test_registration_by_hand_needs_no_secret() -> None:
    settings = Settings.from_context({"environmentId": CLOUD["environmentId"], "registration": "manual"})

    assert (settings.registration, settings.auth_token_secret_arn) == ("manual", None)
    assert Settings.from_context(CLOUD).registration == "automatic"


def test_every_setting_can_be_set() -> None:
    rest = {"ingressUrl": "https://in.example.com", "prefix": "ann-2", "notificationEmail": "ann@example.com"}
    rest |= {"disposable": "true", "alarmTopicArn": TOPIC, "pythonRuntime": "3.12"}

    settings = Settings.from_context(OWN | rest | {"bundleFor": "host", "authTokenSecretArn": SECRET})

    assert settings == Settings(
        admin_url="http://127.0.0.1:9070",
        ingress_url="https://in.example.com",
        prefix="ann-2",
        notification_email="ann@example.com",
        disposable=True,
        alarm_topic_arn=TOPIC,
        bundle_for="host",
        python_runtime="3.12",
        auth_token_secret_arn=SECRET,
    )


def test_a_secret_s_arn_may_lack_its_random_suffix() -> None:
    partial = SECRET.removesuffix("-AbCdEf")

    assert Settings.from_context(CLOUD | {"authTokenSecretArn": partial}).auth_token_secret_arn == partial


def test_cdks_own_context_is_ignored() -> None:
    cdks = {"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:flag": True, "availability-zones:account=1": ["a"]}

    assert Settings.from_context(OWN | cdks) == Settings.from_context(OWN)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({}, "Where is Restate"),
        (CLOUD | OWN, "environmentId and adminUrl must not both be set"),
        ({"environmentId": "env_1"}, "environmentId requires authTokenSecretArn, the ARN"),
        ({"environmentId": "env_1"}, "(or registration=manual)"),
        (CLOUD | {"registration": "manual"}, "authTokenSecretArn and registration=manual must not both be set"),
        (OWN | {"registration": "none"}, "registration must be automatic or manual, not 'none'"),
        (CLOUD | {"environmentId": "201hy10cd3"}, "environmentId '201hy10cd3' must be env_ followed by"),
        (CLOUD | {"environmentId": "env_"}, "environmentId 'env_' must be env_ followed by"),
        (CLOUD | {"environmentId": "env_ABC"}, "environmentId 'env_ABC' must be env_ followed by"),
        (CLOUD | {"environmentId": "env_a.evil.example"}, "must be env_ followed by"),
        (CLOUD | {"restateRegion": "ap"}, "restateRegion must be us or eu, not 'ap'"),
        (CLOUD | {"authTokenSecretArn": "my-key"}, "authTokenSecretArn must be the ARN of a Secrets Manager"),
        (CLOUD | {"authTokenSecretArn": SECRET + "*"}, "must be the ARN of a Secrets Manager secret"),
        ({"adminUrl": "127.0.0.1:9070"}, "adminUrl '127.0.0.1:9070' must be a URL such as"),
        ({"adminUrl": "http://"}, "adminUrl 'http://' must be a URL"),
        ({"adminUrl": "http://host:port"}, "adminUrl 'http://host:port' must be a URL"),
        ({"adminUrl": "http://host/?query"}, "must be a URL such as"),
        ({"adminUrl": "http://user:password@host"}, "must be a URL such as"),
        (OWN | {"ingressUrl": "ftp://host"}, "ingressUrl 'ftp://host' must be a URL"),
        (OWN | {"prefix": "-x"}, "prefix '-x' must be up to 50 letters"),
        (OWN | {"prefix": "a_b"}, "prefix 'a_b' must be up to 50 letters"),
        (OWN | {"prefix": "a" * 51}, "must be up to 50 letters"),
        (OWN | {"notificationEmail": "ann"}, "notificationEmail 'ann' must be an e-mail address"),
        (OWN | {"disposable": "yes"}, "disposable must be true or false, not 'yes'"),
        (OWN | {"alarmTopicArn": "alarms"}, "alarmTopicArn 'alarms' must be the ARN of an SNS topic"),
        (OWN | {"bundleFor": "arm"}, "bundleFor must be lambda or host, not 'arm'"),
        (
            OWN | {"pythonRuntime": "3.11"},
            "pythonRuntime 3.11 is too old: Lambda runs it on Amazon Linux 2, whose glibc",
        ),
        (OWN | {"pythonRuntime": "3.9"}, "which need 2.28: use 3.12 or 3.13 or 3.14."),
        (OWN | {"pythonRuntime": "3.99"}, "pythonRuntime must be 3.12 or 3.13 or 3.14, not '3.99'."),
        (OWN | {"pythonRuntime": "python3.13"}, "pythonRuntime must be 3.12 or 3.13 or 3.14, not 'python3.13'"),
        (OWN | {"prefix": ""}, "prefix must not be empty"),
        (OWN | {"prefix": 7}, "prefix must be a string, in quotes, not 7"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(context: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_context(context)

    assert said in str(error.value)
    assert "\n" not in str(error.value)


OTHER_APPS = {
    "region": "eu-west-1",
    "stage": "dev",
    "env": {"account": "1"},
    "environments": {"dev": {"account": "1"}},
    "registrations": ["dev"],
    "environmentName": "dev",
    "vpcId": "vpc-1",
    "appName": "shop",
    "admin_email": "a@b.c",
    "secretArn": "arn:aws:…",
    "topicArn": "arn:aws:…",
    "python": "3.9",
    "my-key": "key_10mJfXBpBNC2wLpZ5TnuLtr",
    "cli-telemetry": False,
    "acknowledged-issue-numbers": [1],
}


def test_context_of_other_apps_is_ignored_and_listed_if_it_may_be_a_mistake() -> None:
    own: dict[str, object] = {"adminUrl": "http://127.0.0.1:9070"}
    cdks: dict[str, object] = {"@aws-cdk/core:flag": True, "aws:cdk:x": 1, "hosted-zone:account=1": {}, "x:prefix": 1}

    assert Settings.from_context(own | OTHER_APPS | cdks) == Settings.from_context(own)
    assert not_settings(own | OTHER_APPS | cdks | {"environment": "none"}) == [
        name for name in OTHER_APPS if "-" not in name
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("adminURL", "adminUrl"),
        ("admin-url", "adminUrl"),
        ("environment_id", "environmentId"),
        ("envronmentId", "environmentId"),
        ("Environment", "environment"),
        ("environments", "environment"),
        ("alarmTopic", "alarmTopicArn"),
        ("authTokenSecret", "authTokenSecretArn"),
        ("pythonruntime", "pythonRuntime"),
        ("disposible", "disposable"),
        ("prefx", "prefix"),
    ],
)
def test_a_near_miss_of_a_setting_is_rejected_with_where_it_may_be_set(name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_context({"adminUrl": "http://127.0.0.1:9070", name: "x"})

    assert str(error.value) == f"{name} is not a setting. Did you mean {meant}? {IN_CONTEXT}"
