"""Real `cdk deploy`s of the stack: what CloudFormation reports, and what is in Restate and the tables afterwards."""

import pytest

from demo import booking, contract
from demo.cloud import HolidayCloud
from holiday.services import RUN_TYPES, SERVICES
from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError
from tests.deploy.state import addresses, book, deployments, published_versions, services
from tests.hostile_environment import HostileEnvironment


def test_after_a_deploy_restate_calls_the_published_versions(cloud: LocalCloud, stack: dict[str, str]) -> None:
    # given the deployed stack, when Restate's services are listed
    registered = deployments(cloud)
    latest = {name: registered[deployment] for name, (deployment, _) in services(cloud).items()}

    # then there are four, each at the version that the stack published, never at $LATEST
    assert latest == {name: stack[f"{name.capitalize()}VersionArn"] for name in ("trips", *SERVICES)}
    assert set(latest.values()) <= published_versions(cloud)


@pytest.mark.usefixtures("stack")
def test_a_trip_through_the_deployed_lambdas_writes_its_rows_and_sends_its_notice(cloud: HolidayCloud) -> None:
    trip = book(cloud)

    assert contract.complaint(trip) is None
    assert trip.rows["payment"]["amount"] == "750.00"


@pytest.mark.usefixtures("stack")
def test_the_demo_books_every_run_type_that_the_deployed_services_accept(cloud: HolidayCloud) -> None:
    assert set(booking.run_types(cloud)) == {"success", *RUN_TYPES}


def test_a_deploy_without_changes_creates_no_version_and_no_revision(
    cloud: HolidayCloud, stack: dict[str, str], hostile_environment: HostileEnvironment
) -> None:
    # given the deployed stack and a hostile environment
    before = published_versions(cloud), services(cloud), deployments(cloud)

    # when it is deployed again without changes
    again = cloud.deploy()

    # then nothing is new, and no other server was called
    assert hostile_environment.hits == []
    assert again == stack
    assert (published_versions(cloud), services(cloud), deployments(cloud)) == before


@pytest.mark.usefixtures("stack")
def test_the_stack_survives_a_kill_of_its_restate_server(cloud: HolidayCloud) -> None:
    # given the deployed stack, when Restate is killed and the cloud started again
    before = services(cloud), deployments(cloud)
    cloud.kill_restate()
    assert not cloud.start()

    # then the server still has its data, and the next trip works without another deploy
    assert (services(cloud), deployments(cloud)) == before
    assert contract.complaint(book(cloud)) is None


@pytest.mark.slow
def test_destroy_leaves_nothing_of_the_stack_in_restate_and_the_next_deploy_works(own_cloud: HolidayCloud) -> None:
    # given the stack in a cloud of its own, with a booked trip
    own_cloud.deploy()
    book(own_cloud)

    # when it is destroyed
    own_cloud.destroy()

    # then nothing of it is left in Restate or CloudFormation
    assert addresses(own_cloud, set()) == set()
    assert services(own_cloud) == {}
    stacks = own_cloud.client("cloudformation").describe_stacks()["Stacks"]
    assert "HolidayStack" not in {stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"}

    # and it can be deployed again
    own_cloud.deploy()
    assert contract.complaint(book(own_cloud)) is None


def test_a_failed_deploy_reports_cdks_error_and_the_path_of_the_log(own_cloud: HolidayCloud) -> None:
    # when the stack is deployed with an invalid setting
    with pytest.raises(LocalCloudError) as failure:
        own_cloud.deploy({"adminUrl": "not a URL"})

    # then the error names the setting and the log, without a traceback
    assert "adminUrl" in str(failure.value)
    assert str(own_cloud.log("cdk")) in str(failure.value)
    assert "Traceback" not in str(failure.value)
