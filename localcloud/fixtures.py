"""pytest fixtures for the tests of a CDK app that registers with Restate, without an AWS account.

In the app's pyproject.toml: `[tool.pytest.ini_options]`, `addopts = "-p localcloud.fixtures"`. Then, in a test:

    def test_the_greeter_is_registered(local_cloud: LocalCloud) -> None:
        outputs = local_cloud.deploy_app("python app.py")["Greeter"]
        answer = httpx.post(f"{local_cloud.ingress_url}/greeter/greet", json="Ann", trust_env=False)
        assert answer.json() == "Hello Ann"

`deploy_app` deploys in the folder that pytest runs in, or another, and again after a change; `destroy_app` takes it
away; `client("dynamodb")` is a boto3 client of the emulator. pytest runs with this checkout on PYTHONPATH, and on its
`.venv/bin/python`, because the emulator runs Lambdas on that.
"""

from collections.abc import Iterator

import pytest

from localcloud.cloud import LocalCloud, Ports


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running local cloud for all tests of a session, on free ports. It is empty at first, and stops at the end.

    Args:
        tmp_path_factory: pytest's fixture, which makes the cloud's directory.

    Yields:
        The cloud.

    Raises:
        LocalCloudError: A server did not start.
    """
    with LocalCloud(tmp_path_factory.mktemp("local-cloud"), Ports.free()) as cloud:
        yield cloud
