"""A deploy of services that already run elsewhere: in another stack, in `make serve`, or on a server."""

from pathlib import Path

import pytest

from demo import booking, contract, serve
from demo.cloud import HolidayCloud
from localcloud.environment import LocalCloudError
from tests.deploy.serving import Serving
from tests.deploy.state import addresses, book, deployments, routes, services, stacks, versions
from tests.deploy.variants import APP, code_marked
from tests.driver import eventually

pytestmark = pytest.mark.slow

ANN = "ann-HolidayStack"


def test_a_second_stack_on_the_same_restate_is_refused_and_the_first_one_still_serves(own_cloud: HolidayCloud) -> None:
    # given a stack, when a second one is deployed to the same Restate, then that is refused with a reason
    ours = own_cloud.deploy()
    before = services(own_cloud)
    with pytest.raises(LocalCloudError) as refused:
        own_cloud.deploy({"prefix": "ann"}, stack=ANN)
    said = " ".join(str(refused.value).split())
    assert [version for version in versions(ours) if f"is served by {version} already" in said], said

    # and nothing has changed in Restate, and the first one's trips work
    assert services(own_cloud) == before
    assert routes(own_cloud) == addresses(own_cloud, versions(ours)) == versions(ours)
    assert contract.complaint(book(own_cloud)) is None

    # and destroying the rest of the second one changes nothing either
    if ANN in stacks(own_cloud):
        own_cloud.destroy(ANN)
    assert services(own_cloud) == before
    assert contract.complaint(book(own_cloud)) is None


def test_a_deployment_beside_make_serve_is_not_refused_and_serves_when_that_ends(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given `make serve`, when changed code is deployed, then that succeeds, and trips still run in that process
    own_cloud.deploy()
    serving = Serving(own_cloud)
    try:
        assert routes(own_cloud) == {f"{serving.url}/"}
        second = own_cloud.deploy({"test:lambdas": str(code_marked(tmp_path / "second", "second"))}, app=APP)
        serve.clear_stale(own_cloud, print, serving.port)
        assert routes(own_cloud) == {f"{serving.url}/"}
    finally:
        said = serving.stop()

    # and when it ends, then they run on the new deployment
    assert "Trips run on Lambda again." in said
    assert routes(own_cloud) == versions(second)
    assert booking.book(own_cloud, "oslo", "success").status == 200

    # and a killed `make serve` does not block a deploy
    killed = Serving(own_cloud)
    killed.kill()
    third = own_cloud.deploy({"test:lambdas": str(code_marked(tmp_path / "third", "third"))}, app=APP)
    serve.clear_stale(own_cloud, print, killed.port)
    assert routes(own_cloud) == versions(third)
    assert not eventually(lambda: f"{killed.url}/" in deployments(own_cloud).values(), lambda known: not known)
    assert booking.book(own_cloud, "bergen", "success").status == 200


def test_a_refused_update_is_rolled_back_and_the_other_server_still_serves(
    own_cloud: HolidayCloud, tmp_path: Path
) -> None:
    # given a stack whose services are now served by a server that was registered by hand
    own_cloud.deploy()
    server = Serving(own_cloud)
    try:
        own_cloud.admin.register({"uri": server.url})
        before, known = services(own_cloud), deployments(own_cloud)

        # when changed code is deployed, then that is refused
        with pytest.raises(LocalCloudError, match="is served by"):
            own_cloud.deploy({"test:lambdas": str(code_marked(tmp_path / "refused", "refused"))}, app=APP)

        # and the stack is rolled back, and nothing has changed in Restate
        (stack,) = own_cloud.client("cloudformation").describe_stacks(StackName="HolidayStack")["Stacks"]
        assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert services(own_cloud) == before
        assert eventually(lambda: deployments(own_cloud), lambda found: found == known) == known
        assert booking.book(own_cloud, "malmo", "success").status == 200
    finally:
        server.stop()
