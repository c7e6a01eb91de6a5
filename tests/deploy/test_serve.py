"""`make serve`: Restate's latest deployment while it runs, and nothing afterwards."""

import threading
import uuid
from collections.abc import Iterator

import httpx
import pytest

from demo import contract, serve
from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.ports import is_free
from localcloud.processes import end, is_alive
from tests.deploy.serving import Serving
from tests.deploy.state import addresses, book, deployments, emulator_of, routes, versions
from tests.driver import eventually

pytestmark = pytest.mark.usefixtures("stack")


@pytest.fixture
def serving(cloud: LocalCloud) -> Iterator[Serving]:
    serving = Serving(cloud)
    yield serving
    serving.stop()


def test_trips_run_in_the_local_process_while_it_serves_and_on_lambda_afterwards(
    cloud: HolidayCloud, stack: dict[str, str], serving: Serving
) -> None:
    # given `make serve`, when a trip is booked, then it runs in that process
    assert routes(cloud) == {f"{serving.url}/"}
    assert contract.complaint(book(cloud)) is None

    # and when `make serve` ends, then nothing of it is left, and the stack's deployments are the latest again
    said = serving.stop()
    assert serving.process.returncode == 0, said
    assert "Trips run on Lambda again." in said
    assert routes(cloud) == versions(stack)
    assert addresses(cloud, versions(stack)) == versions(stack)
    assert is_free(serving.port)
    assert contract.complaint(book(cloud)) is None


def test_a_registration_that_a_killed_serve_left_is_cleared_by_the_next_up(
    cloud: HolidayCloud, stack: dict[str, str], serving: Serving
) -> None:
    # given a `make serve` that was killed, so new trips cannot start
    serving.kill()
    assert routes(cloud) == {f"{serving.url}/"}

    # when the next `make up` checks
    serve.clear_stale(cloud, print, serving.port)

    # then trips run on Lambda again
    assert addresses(cloud, versions(stack)) == versions(stack)
    assert contract.complaint(book(cloud)) is None


def test_the_services_of_a_killed_serve_end_with_their_cloud(cloud: HolidayCloud, serving: Serving) -> None:
    [services] = serving.children()
    serving.process.kill()

    assert services.environ().items() >= cloud.run_id().items()
    end([services])
    serve.clear_stale(cloud, print, serving.port)


def test_a_running_serve_stays_the_latest_when_the_stack_is_deployed(cloud: HolidayCloud, serving: Serving) -> None:
    serve.clear_stale(cloud, print, serving.port)

    assert routes(cloud) == {f"{serving.url}/"}


def test_a_trip_under_way_does_not_hold_up_the_end_of_the_local_process(
    cloud: HolidayCloud, stack: dict[str, str], serving: Serving
) -> None:
    # given a trip that hangs in the local process, because the emulator does not answer
    emulator, admin, [services] = emulator_of(cloud), cloud.admin, serving.children()
    deployment = admin.find(serving.url)
    assert deployment
    emulator.suspend()
    try:
        httpx.post(f"{cloud.ingress_url}/trips/reserve/send", json={}, trust_env=False).raise_for_status()
        assert eventually(lambda: admin.unfinished(deployment), bool)

        # when it is told to end, as before a reload, then it does
        services.terminate()
        assert not eventually(lambda: is_alive(services), lambda alive: not alive)
    finally:
        emulator.resume()

    # and the next one continues the trip
    serving.kill()
    again = serve.services(cloud, serving.port)
    try:
        assert again.start()
        assert eventually(lambda: admin.unfinished(deployment), lambda count: count == 0) == 0
    finally:
        again.stop()
    serve.clear_stale(cloud, print, serving.port)
    assert addresses(cloud, versions(stack)) == versions(stack)


def test_an_invocation_that_began_in_a_killed_serve_waits_for_the_next_one_and_finishes(
    cloud: HolidayCloud, stack: dict[str, str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a trip that hangs in the local process, because the emulator does not answer, and then the process is killed
    emulator = emulator_of(cloud)
    answers: list[httpx.Response] = []
    body = {"request": {"trip_id": f"serve-{uuid.uuid4()}"}}
    url = f"{cloud.ingress_url}/trips/reserve"
    caller = threading.Thread(target=lambda: answers.append(httpx.post(url, json=body, trust_env=False, timeout=300)))
    admin = cloud.admin
    deployment = admin.find(serving.url)
    assert deployment
    emulator.suspend()
    try:
        caller.start()
        assert eventually(lambda: admin.unfinished(deployment), bool)
        serving.kill()
    finally:
        emulator.resume()

    # when the next `make up` checks, then it says so, keeps the registration, and sends new trips to Lambda
    serve.clear_stale(cloud, print, serving.port)
    assert "wait for the next `make serve`" in capsys.readouterr().out
    assert routes(cloud) == versions(stack)
    assert deployment in deployments(cloud)

    # and the next `make serve` at that address finishes the trip and leaves nothing behind
    again = serve.services(cloud, serving.port)
    try:
        assert again.start()
        caller.join(timeout=120)
        assert [answer.status_code for answer in answers] == [200]
        assert eventually(lambda: admin.unfinished(deployment) == 0, bool)
    finally:
        again.stop()
    serve.clear_stale(cloud, print, serving.port)
    assert addresses(cloud, versions(stack)) == versions(stack)
