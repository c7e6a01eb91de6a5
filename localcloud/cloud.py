"""One local cloud: MiniStack as AWS and restate-server as Restate, on 127.0.0.1, in a directory of its own.

The servers outlive the command that starts them; the state file in the directory says who they are. A cloud is
ephemeral: once stopped, its next start is empty; the last run's logs stay.
"""

import fcntl
import shutil
import sys
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Self

from localcloud import emulator, stacks
from localcloud.admin import Admin
from localcloud.clients import Clients
from localcloud.deploy import Note
from localcloud.environment import LOCAL, ROOT, LocalCloudError, local_client, local_environment
from localcloud.ports import HOST, Ports, holder, is_free
from localcloud.processes import uninterrupted
from localcloud.servers import RUN_ID, Server, Servers, restate_server, restate_settings
from localcloud.stacks import CdkApp
from localcloud.state import Run, StateFile

Step = Callable[[str], AbstractContextManager[Note]]


def quietly(_: str) -> AbstractContextManager[Note]:
    """A step that shows nothing, for tests."""
    return nullcontext(lambda _: None)


class LocalCloud:
    """A local cloud in `directory`. It may be running already, started by another process.

    With `auth`, the emulator enforces signatures and IAM policies. `step` shows progress: nothing, unless it is set.
    `restate_settings` are variables that restate-server gets besides its own, the next time it is started.
    `emulator` is what Python is told to run as the emulator. `client("dynamodb")` is a boto3 client of that.
    """

    def __init__(self, directory: Path, ports: Ports, auth: bool = False) -> None:
        self.directory = directory.resolve()
        self.ports = ports
        self.auth = auth
        self.step: Step = quietly
        self.restate_settings: dict[str, str] = {}
        self.emulator: Sequence[str] = ("-m", "localcloud.emulator")
        self.ingress_url = f"http://{HOST}:{ports.ingress}"
        self.admin_url = f"http://{HOST}:{ports.admin}"
        self.aws_url = f"http://{HOST}:{ports.aws}"
        self.admin = Admin(self.admin_url)
        self.client = Clients(lambda service: local_client(service, self.aws_url))
        self._state = StateFile(self.directory / "cloud.json", ports)
        self._servers = Servers(self._state)

    @classmethod
    def default(cls) -> Self:
        """The cloud of this checkout's commands."""
        return cls(LOCAL / "cloud", Ports.default())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Starting and stopping

    def start(self) -> bool:
        """Start what is not running and wait until it answers. Returns whether the cloud started empty.

        Restate comes back on its own data. The emulator keeps its state in memory: without it, everything starts anew.
        """
        run = self._state.read()
        if run and self._servers.find("ministack"):
            self._await_health("ministack")
            if self._servers.find("restate-server"):
                self._await_health("restate-server")
            else:
                with self.step(
                    f"restate-server had stopped ({self.log('restate-server')}): restarting it with the same data"
                ):
                    self.restart_restate()
            return False
        if run:
            with self.step("MiniStack had stopped and lost its data: removing the rest of that cloud"):
                self.stop()
        self._refuse_taken_ports()
        self._prepare_directory()
        self._state.write(Run(uuid.uuid4().hex))
        try:
            with self.step("Starting MiniStack and restate-server"):
                self._spawn("ministack")
                self._spawn("restate-server")
                self._await_health("ministack")
                self._await_health("restate-server")
        except BaseException:
            self.stop()
            raise
        return True

    def stop(self) -> bool:
        """End every process of this cloud and delete its data, but not its logs. Returns whether a cloud was there."""
        if not self._state.read():
            return False
        with uninterrupted():
            self._servers.end_all()
            for data in ("data", "tmp", "cdk.out", "outputs", "cloud.json"):
                _delete(self.directory / data)
        return True

    def kill_restate(self) -> None:
        """Kill the Restate server without warning (SIGKILL), as a power cut would."""
        self._servers.kill("restate-server")

    def restart_restate(self) -> None:
        """Restart the Restate server, whether or not it is running, with the same data."""
        self.kill_restate()
        self._spawn("restate-server")
        self._await_health("restate-server")

    def is_running(self) -> bool:
        """Whether both servers are running."""
        return bool(self._servers.find("ministack") and self._servers.find("restate-server"))

    @contextmanager
    def locked(self) -> Generator[None]:
        """Lock this cloud against other processes, waiting for one that is changing it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self.step("Waiting for another command on this cloud"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # Stacks

    def deploy_app(
        self,
        command: str,
        folder: Path | None = None,
        names: Sequence[str] = (),
        context: Mapping[str, str] | None = None,
    ) -> dict[str, dict[str, str]]:
        """`cdk deploy` a CDK app, which `command` synthesizes in `folder`: by default the one that Python runs in.

        names: of the stacks that are deployed, besides those that they need. Default: all.
        context: what the app gets besides `adminUrl` and `ingressUrl`, which say where this cloud's Restate is.

        Returns {stack: its outputs}. Raises LocalCloudError with cdk's own error message.
        """
        return self._deploy(CdkApp.of(command, folder or Path.cwd()), names, context or {})

    def destroy_app(self, command: str, folder: Path | None = None, names: Sequence[str] = ()) -> None:
        """`cdk destroy` what `deploy_app` deployed by this command in this folder, by default all of it."""
        self._destroy(CdkApp.of(command, folder or Path.cwd()), names)

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of a stack; empty if it is not deployed."""
        self._state.demand()
        for found in self.client("cloudformation").describe_stacks()["Stacks"]:
            if found["StackName"] == stack and found["StackStatus"] != "DELETE_COMPLETE":
                outputs = found.get("Outputs", [])
                return {output.get("OutputKey", ""): output.get("OutputValue", "") for output in outputs}
        return {}

    def _deploy(self, app: CdkApp, names: Sequence[str], context: Mapping[str, str]) -> dict[str, dict[str, str]]:
        if not self._state.demand().bootstrapped:
            stacks.bootstrap(self)
            self._state.update(bootstrapped=True)
        return stacks.deploy(self, app, names, context)

    def _destroy(self, app: CdkApp, names: Sequence[str]) -> None:
        self._state.demand()
        stacks.destroy(self, app, names)

    # What the others use

    def environment(self) -> dict[str, str]:
        """The complete environment of a local command that uses this cloud. Nothing of the caller's is in it."""
        return local_environment(self.aws_url, self.directory / "tmp")

    def run_id(self) -> dict[str, str]:
        """The variable with which `stop` recognizes processes of this cloud that it did not start."""
        return {RUN_ID: self._state.demand().id}

    def log(self, name: str) -> Path:
        """The file for the output of a server or of cdk."""
        return self.directory / "logs" / f"{name}.log"

    # Servers

    def _spawn(self, server: Server) -> None:
        is_emulator = server == "ministack"
        command = [sys.executable, *self.emulator] if is_emulator else [str(restate_server())]
        folder = ROOT if is_emulator else self.directory  # a module is looked for where Python starts
        self._servers.start(server, command, folder, self.environment() | self._settings(server), self.log(server))

    def _settings(self, server: Server) -> dict[str, str]:
        data = self.directory / "data" / server
        data.mkdir(parents=True, exist_ok=True)
        if server == "ministack":
            return emulator.settings(HOST, self.ports.aws, data, self.auth)
        return restate_settings(self.ports, data) | self.restate_settings

    def _await_health(self, server: Server) -> None:
        urls = {
            "ministack": [f"{self.aws_url}/_ministack/health"],
            "restate-server": [f"{self.admin_url}/health", f"{self.ingress_url}/restate/health"],
        }[server]
        self._servers.await_health(server, urls, self.log(server))

    def _refuse_taken_ports(self) -> None:
        for name, port in asdict(self.ports).items():
            if not is_free(port):
                raise LocalCloudError(
                    f"Port {port} (the local cloud's {name} port) is in use by {holder(port)}: "
                    "end that first (`make down`, if it is another checkout's cloud); nothing was started."
                )

    def _prepare_directory(self) -> None:
        logs, previous = self.directory / "logs", self.directory / "logs-of-the-run-before"
        if logs.exists():
            _delete(previous)
            logs.rename(previous)
        logs.mkdir(parents=True)
        _delete(self.directory / "data")


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
