"""The greeter, deployed into a local cloud and called through Restate."""

import httpx

from localcloud.cloud import LocalCloud


def test_it_greets_by_name(local_cloud: LocalCloud) -> None:
    local_cloud.deploy_app("python app.py")

    answer = httpx.post(f"{local_cloud.ingress_url}/greeter/greet", json="Ann", trust_env=False)
    assert answer.json() == "Hello Ann"
