"""One local cloud: MiniStack as AWS and restate-server as Restate, on 127.0.0.1, in a directory of its own.

The servers outlive the command that starts them; the state file in the directory says who they are. A cloud is
ephemeral: once stopped, its next start is empty; the last run's logs stay.
"""

import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from localcloud import emulator, stacks
from localcloud.admin import Admin
from localcloud.clients import Clients
from localcloud.deploy import Step, quietly
from localcloud.directory import clear, locked, prepare
from localcloud.environment import LOCAL, ROOT, local_client, local_environment
from localcloud.ports import HOST, Ports, refuse_taken
from localcloud.processes import uninterrupted
from localcloud.servers import RUN_ID, Server, Servers, health_urls, restate_server, restate_settings
from localcloud.stacks import CdkApp
from localcloud.state import CloudRun, StateFile


class LocalCloud:
    """A local cloud. It may be running already, started by another process. `with LocalCloud(…)` starts and stops it.

    Args:
        directory: Where its state file, data and logs are.
        ports: The ports of 127.0.0.1 that it listens on.
        auth: Whether the emulator enforces signatures and IAM policies. Default: False.

    Attributes:
        ingress_url (str): Restate's ingress, where services are called.
        admin_url (str): Restate's admin API.
        aws_url (str): The emulator's endpoint for every AWS service.
        admin (Admin): A client of the admin API.
        client (Clients): Makes boto3 clients of the emulator: `client("dynamodb")`.
        step (Step): Shows progress. Default: shows nothing.
        restate_settings (dict[str, str]): Variables that restate-server gets besides its own, the next time it is
            started. Default: none.
        emulator (Sequence[str]): The arguments with which Python runs the emulator.
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
        """Start what is not running and wait until it answers.

        Restate comes back on its own data. The emulator keeps its state in memory: without it, everything starts anew.

        Returns:
            Whether the cloud started empty.

        Raises:
            LocalCloudError: A port is in use, the state file is damaged, or a server is not installed, exited or did
                not answer within a minute.
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
        refuse_taken(self.ports)
        prepare(self.directory)
        self._state.write(CloudRun(uuid.uuid4().hex))
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
        """End every process of this cloud and delete its data, but not its logs.

        Returns:
            Whether a cloud was there.

        Raises:
            LocalCloudError: The state file is damaged.
        """
        if not self._state.read():
            return False
        with uninterrupted():
            self._servers.end_all()
            clear(self.directory)
        return True

    def kill_restate(self) -> None:
        """Kill the Restate server without warning (SIGKILL), as a power cut would."""
        self._servers.kill("restate-server")

    def restart_restate(self) -> None:
        """Restart the Restate server, whether or not it is running, with the same data.

        Raises:
            LocalCloudError: The cloud is not running, or the server exited or did not answer within a minute.
        """
        self.kill_restate()
        self._spawn("restate-server")
        self._await_health("restate-server")

    def is_running(self) -> bool:
        """Whether both servers are running."""
        return bool(self._servers.find("ministack") and self._servers.find("restate-server"))

    def locked(self) -> AbstractContextManager[None]:
        """Lock this cloud against other processes, waiting for one that is changing it."""
        return locked(self.directory, self.step)

    # Stacks

    def deploy_app(
        self,
        command: str,
        folder: Path | None = None,
        names: Sequence[str] = (),
        context: Mapping[str, str] | None = None,
    ) -> dict[str, dict[str, str]]:
        """Deploy a CDK app with `cdk deploy`, for the first time or again after a change.

        Args:
            command: What synthesizes the app, such as `python app.py`.
            folder: Where the command runs, and where cdk looks for a cdk.json. Default: the current folder.
            names: The stacks to deploy, besides those that they need. Default: all.
            context: What the app gets besides `adminUrl` and `ingressUrl`, which say where this cloud's Restate is.

        Returns:
            The outputs of each stack: `{stack: {output: value}}`.

        Raises:
            LocalCloudError: The cloud is not running, the folder does not exist, or cdk failed, with its own message.
        """
        return self._deploy(CdkApp.of(command, folder or Path.cwd()), names, context or {})

    def destroy_app(self, command: str, folder: Path | None = None, names: Sequence[str] = ()) -> None:
        """Destroy stacks with `cdk destroy`, as the app synthesized them for `deploy_app`, whatever its code says now.

        Args:
            command: The one that `deploy_app` was given.
            folder: The one that `deploy_app` was given. Default: the current folder.
            names: The stacks to destroy, besides those that need them. Default: all.

        Raises:
            LocalCloudError: The cloud is not running, this command deployed nothing in this folder, or cdk failed, with
                its own message.
        """
        self._destroy(CdkApp.of(command, folder or Path.cwd()), names)

    def outputs(self, stack: str) -> dict[str, str]:
        """Look up a stack's outputs.

        Args:
            stack: Its name.

        Returns:
            `{output: value}`, empty if the stack is not deployed.

        Raises:
            LocalCloudError: The cloud is not running.
        """
        self._state.demand()
        return stacks.outputs(self, stack)

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
        self._servers.await_health(server, health_urls(self.ports)[server], self.log(server))
