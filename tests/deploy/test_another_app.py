"""Another company's app, installed from the wheel: three stacks, a secret with its own KMS key, a VPC, two services in
one function, an existing function, a topic that is replaced, and a second copy."""

import importlib.metadata
import io
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.cloud import HolidayCloud
from dependencies import sources
from holiday_stack import bundling
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT, LocalCloudError
from tests.deploy import greetings, other_app
from tests.deploy.authenticating_proxy import KEY, AuthenticatingProxy, guarding
from tests.deploy.state import deployments, routes, services

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The package of the two services, and that of the existing function."""
    found: dict[str, Path] = {}
    existing = other_app.SERVICES.replace('"greeter"', '"existing"').replace("[greeter, teller]", "[greeter]")
    for name, source in {"both": other_app.SERVICES, "existing": existing}.items():
        sources = Path(greetings.written(tmp_path_factory.mktemp(name), source)["lambdas"])
        found[name] = bundling.package("greetings", bundling.HOST, lambdas=sources)
    return found


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The app's command, in an environment with only the built wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    uv, environment = str(Path(sys.executable).parent / "uv"), sources.environment()
    python = folder / "env" / "bin" / "python"
    for command in (
        ["build", "--quiet", "--wheel", "--out-dir", str(folder), "packages/restate-lambda-cdk"],
        ["venv", "--quiet", "--python", sys.executable, str(folder / "env")],
    ):
        subprocess.run([uv, *command], cwd=ROOT, env=environment, check=True)
    (wheel,) = folder.glob("*.whl")
    newest = f"aws-cdk-lib=={importlib.metadata.version('aws-cdk-lib')}"
    install = [uv, "pip", "install", "--quiet", "--python", str(python), str(wheel), newest]
    subprocess.run([*install, *sources.uv_options(environment)], env=environment, check=True)
    return f"{shlex.quote(str(python))} -m tests.deploy.other_app"


@pytest.fixture(scope="module")
def authenticating_proxy(own_cloud: LocalCloud) -> Iterator[AuthenticatingProxy]:
    with guarding(own_cloud.admin_url, KEY) as authenticating_proxy:
        yield authenticating_proxy


@pytest.fixture(scope="module")
def existing(own_cloud: LocalCloud, packages: dict[str, Path]) -> str:
    """The ARN of a published version of a function that no stack here contains."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        for path in packages["existing"].rglob("*"):
            package.write(path, path.relative_to(packages["existing"]))
    functions = own_cloud.client("lambda")
    functions.create_function(
        FunctionName="existing",
        Runtime="python3.13",
        Architectures=["x86_64"],
        Role="arn:aws:iam::000000000000:role/existing",
        Handler="greetings.greeter.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=10,
    )
    return functions.publish_version(FunctionName="existing")["FunctionArn"]


@pytest.fixture
def context(authenticating_proxy: AuthenticatingProxy, packages: dict[str, Path], existing: str) -> dict[str, str]:
    return {"adminUrl": authenticating_proxy.url, "package": str(packages["both"]), "key": KEY, "existing": existing}


def ask(cloud: LocalCloud, path: str, body: str | None = None) -> str:
    url = f"{cloud.ingress_url}/{path}"
    answer = httpx.post(url, json=body, timeout=60, trust_env=False) if body else httpx.post(url, timeout=60)
    return answer.raise_for_status().json()


def test_three_stacks_are_deployed_changed_and_destroyed(
    own_cloud: HolidayCloud, app: str, context: dict[str, str]
) -> None:
    # given three stacks, when the last one is deployed
    first = own_cloud.deploy(context, app, "What")

    # then its services and the existing function are registered, by a function in a VPC, with the secret's key
    assert services(own_cloud).keys() == {"greeter", "teller", "existing"}
    assert routes(own_cloud) == {first["VersionArn"], context["existing"]}
    assert ask(own_cloud, "greeter/greet", "Ann") == "Hello Ann"
    assert ask(own_cloud, "existing/greet", "Ann") == "Hello Ann"
    assert ask(own_cloud, "teller/tell") == first["TopicName"]

    # when nothing changes, then nothing is updated
    before = services(own_cloud)
    own_cloud.deploy(context, app, "What")
    assert services(own_cloud) == before

    # when the topic is replaced, then a new version with the new topic is called
    second = own_cloud.deploy(context | {"fifo": "yes"}, app, "What")
    assert second["TopicName"] != first["TopicName"]
    assert second["VersionArn"] != first["VersionArn"]
    assert ask(own_cloud, "teller/tell") == second["TopicName"]

    # when somebody deploys a second copy, then that is refused, and the first one still serves
    before = services(own_cloud)
    with pytest.raises(LocalCloudError, match=r"greeter is served by .* already"):
        own_cloud.deploy(context | {"prefix": "Ann"}, app, "AnnWhat")
    assert services(own_cloud) == before
    assert ask(own_cloud, "teller/tell") == second["TopicName"]

    # and when it is destroyed, then nothing of it is left in Restate
    own_cloud.destroy("What")
    assert deployments(own_cloud) == {}
