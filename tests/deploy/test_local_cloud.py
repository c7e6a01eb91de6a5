"""The servers of a local cloud: none is left behind, and a dead one is restarted or cleaned up."""

import io
import signal
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import psutil
import pytest

from localcloud.cloud import LocalCloud
from localcloud.environment import LocalCloudError
from localcloud.ports import Ports
from localcloud.processes import end
from localcloud.servers import RUN_ID
from tests.deploy.command import start_command
from tests.deploy.state import emulator_of, processes_below
from tests.driver import eventually


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud for one test, not started. It is stopped afterwards."""
    cloud = LocalCloud(tmp_path / "cloud", Ports.free())
    yield cloud
    cloud.stop()


def listening(cloud: LocalCloud) -> list[int]:
    """This cloud's ports on which something listens."""
    found: list[int] = []
    for port in asdict(cloud.ports).values():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found


def invoke_a_lambda(cloud: LocalCloud) -> None:
    """Make the emulator start a worker process, which stays warm."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    print('ran')\n    return 'pong'\n")
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="ping",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="index.handler",
        Code={"ZipFile": code.getvalue()},
    )
    assert functions.invoke(FunctionName="ping")["Payload"].read() == b'"pong"'


def test_stop_leaves_no_process_and_no_listener(own_cloud: LocalCloud) -> None:
    # given a running cloud whose emulator has a warm Lambda
    own_cloud.start()
    invoke_a_lambda(own_cloud)
    assert len(processes_below(own_cloud.directory)) == 3

    # when it is stopped, then nothing is running, its data is gone, and its logs are there
    assert own_cloud.stop()
    assert processes_below(own_cloud.directory) == []
    assert listening(own_cloud) == []
    assert not (own_cloud.directory / "data").exists()
    assert own_cloud.log("restate-server").read_text()


def test_stop_finds_the_lambdas_of_an_emulator_that_was_killed(own_cloud: LocalCloud) -> None:
    # given an emulator that was killed, with a Lambda worker that survived it
    own_cloud.start()
    invoke_a_lambda(own_cloud)
    emulator = emulator_of(own_cloud)
    worker = emulator.children()[0]
    worker.suspend()
    end([emulator], kill=True)

    # when the cloud is stopped, then the worker is ended too
    own_cloud.stop()
    assert processes_below(own_cloud.directory) == []


def test_stopping_twice_and_starting_twice_are_harmless(own_cloud: LocalCloud) -> None:
    assert own_cloud.start()
    assert not own_cloud.start()
    assert own_cloud.stop()
    assert not own_cloud.stop()


def test_a_cloud_whose_emulator_died_starts_empty(own_cloud: LocalCloud) -> None:
    # given a cloud whose emulator was killed and has lost its state
    own_cloud.start()
    own_cloud.client("sns").create_topic(Name="lost")
    end([emulator_of(own_cloud)], kill=True)

    # when it is started, then both servers are new, and the logs of the previous run are kept
    assert own_cloud.start()
    assert own_cloud.client("sns").list_topics()["Topics"] == []
    assert (own_cloud.directory / "logs-of-the-run-before" / "ministack.log").exists()
    assert len(processes_below(own_cloud.directory)) == 2


def test_a_port_in_use_is_reported_and_nothing_is_left_behind(own_cloud: LocalCloud) -> None:
    # given another program on the admin port, when the cloud is started, then one sentence names the port
    sentence = f"Port {own_cloud.ports.admin} .* is in use by .*nothing was started"
    with socket.create_server(("127.0.0.1", own_cloud.ports.admin)), pytest.raises(LocalCloudError, match=sentence):
        own_cloud.start()

    # and nothing runs
    assert not own_cloud.is_running()
    assert listening(own_cloud) == []


def test_a_server_that_exits_at_once_is_reported_in_one_sentence_with_its_log(own_cloud: LocalCloud) -> None:
    # given a Restate server that was killed
    own_cloud.start()
    own_cloud.kill_restate()

    # when it is restarted while its port is in use, then the error names the log
    sentence = r"restate-server exited while it was starting.*restate-server\.log"
    with socket.create_server(("127.0.0.1", own_cloud.ports.node)), pytest.raises(LocalCloudError, match=sentence):
        own_cloud.restart_restate()


def test_two_clouds_run_side_by_side(own_cloud: LocalCloud, cloud: LocalCloud) -> None:
    own_cloud.start()

    assert cloud.is_running()
    assert own_cloud.is_running()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_no_process(own_cloud: LocalCloud, signum: signal.Signals) -> None:
    # given `make up` in the middle of cdk's work
    up = start_command(own_cloud, "up")
    assert eventually(lambda: own_cloud.log("cdk").exists() and own_cloud.log("cdk").stat().st_size, bool)

    # when it is interrupted
    up.send_signal(signum)
    said, _ = up.communicate(timeout=60)

    # then it says so without a traceback, and no server, cdk or child process of theirs is left
    assert up.returncode == 130
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert processes_below(own_cloud.directory) == []


def test_an_interrupted_up_leaves_a_cloud_running_that_ran_before(own_cloud: LocalCloud) -> None:
    # given a cloud that was running already, and `make up` in the middle of cdk's work
    own_cloud.start()
    up = start_command(own_cloud, "up")
    assert eventually(lambda: own_cloud.log("cdk").exists() and own_cloud.log("cdk").stat().st_size, bool)

    # when it is interrupted
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)

    # then the servers are still running, but cdk is not
    assert own_cloud.is_running()
    assert eventually(
        lambda: all(RUN_ID in process.environ() for process in processes_below(own_cloud.directory)), bool
    )


def test_commands_on_one_cloud_take_turns(own_cloud: LocalCloud) -> None:
    # given a command that is changing the cloud
    own_cloud.start()
    with own_cloud.locked():
        # when another one starts, then it says that it waits, and does nothing yet
        down = start_command(own_cloud, "down")
        assert down.stdout
        assert "Waiting for another" in down.stdout.readline()
        assert own_cloud.is_running()

    # and it continues when the first one has finished
    down.communicate(timeout=60)
    assert down.returncode == 0
    assert not own_cloud.is_running()


def test_everything_listens_on_the_loopback_interface_only(own_cloud: LocalCloud) -> None:
    own_cloud.start()

    addresses = {
        connection.laddr[0]
        for process in processes_below(own_cloud.directory)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_both_servers_answer_when_start_returns(own_cloud: LocalCloud) -> None:
    own_cloud.start()

    for url in (f"{own_cloud.ingress_url}/restate/health", f"{own_cloud.admin_url}/health"):
        assert httpx.get(url, trust_env=False).status_code == 200
    assert own_cloud.client("sts").get_caller_identity()["Account"] == "000000000000"
