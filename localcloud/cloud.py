"""One local cloud: MiniStack as AWS and restate-server as Restate, on 127.0.0.1, in a directory of its own.

The servers outlive the command that starts them: own session, output in files. `cloud.json` says who they are (process
id and start time, because ids are used again), and a mark in their environment, which the emulator's Lambdas inherit,
lets `stop` find every last one. A cloud is ephemeral: once stopped, its next start is empty; the last run's logs stay.
"""

import fcntl
import json
import platform
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import httpx
import psutil

from localcloud import emulator, stacks
from localcloud.deploy import Note
from localcloud.environment import LOCAL, ROOT, LocalCloudError, local_client, local_environment
from localcloud.processes import HOST, end, holder, is_alive, is_free, uninterrupted
from localcloud.stacks import CdkApp

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

STACK = "HolidayStack"
MARK = "RESTATE_HOLIDAY_CLOUD"
START_TIMEOUT = 60.0

# What Restate Cloud and restate-server from 1.8 on have on by default. A cloud's `restate_settings` can switch it off.
VQUEUES_AND_V7 = ("RESTATE_EXPERIMENTAL_ENABLE_VQUEUES", "RESTATE_EXPERIMENTAL_ENABLE_PROTOCOL_V7")
WITHOUT_VQUEUES: dict[str, str] = dict.fromkeys(VQUEUES_AND_V7, "false")

Server = Literal["restate-server", "ministack"]
Step = Callable[[str], AbstractContextManager[Note]]


def quietly(_: str) -> AbstractContextManager[Note]:
    """A step that shows nothing: what tests use."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Ports:
    """Where a cloud listens, always on 127.0.0.1: Restate's ingress, admin and node-to-node ports, and AWS."""

    ingress: int
    admin: int
    node: int
    aws: int

    @classmethod
    def default(cls) -> Self:
        """The ports of `make up`, the ones that Restate's and the emulator's documentation use."""
        return cls(ingress=8080, admin=9070, node=5122, aws=4566)

    @classmethod
    def free(cls) -> Self:
        """Four ports that nobody listens on, below those that the system hands out to outgoing connections."""
        found: set[int] = set()
        while len(found) < 4:
            port = random.randint(20000, 32000)
            if is_free(port):
                found.add(port)
        return cls(*found)


@dataclass
class Record:
    """What one run of a cloud is, as `cloud.json` holds it."""

    mark: str
    servers: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    bootstrapped: bool = False
    outputs: dict[str, str] = field(default_factory=dict[str, str])


class LocalCloud:
    """A local cloud in `directory`. It may be running already, started by another process.

    With `auth`, the emulator enforces signatures and IAM policies. `step` shows progress: nothing, unless it is set.
    `restate_settings` are variables that restate-server gets besides its own, the next time it is started.
    `emulator` is what Python is told to run as the emulator.
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
        self._clients: dict[str, Any] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    @classmethod
    def default(cls) -> Self:
        """The cloud of `make up`."""
        return cls(LOCAL / "cloud", Ports.default())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Starting and stopping

    def start(self) -> bool:
        """Start whatever is not running, wait until it answers, and return whether the cloud started from empty.

        Restate comes back on its own data. The emulator keeps its state in memory: without it, everything starts anew.
        """
        record = self._record()
        if record and self._process("ministack"):
            self._await_health("ministack")
            if self._process("restate-server"):
                self._await_health("restate-server")
            else:
                with self.step(
                    f"restate-server had ended ({self.log('restate-server')}): starting it on the same data"
                ):
                    self.restart_restate()
            return False
        if record:
            with self.step("MiniStack had ended, and its data with it: clearing away the rest of that cloud"):
                self.stop()
        self._refuse_taken_ports()
        self._prepare_directory()
        self._write(Record(uuid.uuid4().hex))
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
        """End every process of this cloud and delete its data, not its logs. Returns whether there was one."""
        record = self._record()
        if not record:
            return False
        with uninterrupted():
            end(process for server in record.servers if (process := self._process(server)))
            # What is left: Lambdas of an emulator that was killed, and servers that did not end in time.
            end((process for process in psutil.process_iter() if _mark_of(process) == record.mark), hard=True)
            self._reap()
            for data in ("data", "tmp", "cdk.out", "outputs", "cloud.json"):
                _delete(self.directory / data)
        return True

    def kill_restate(self) -> None:
        """SIGKILL the Restate server itself, as a power cut would."""
        self._kill("restate-server")

    def restart_restate(self) -> None:
        """Start the Restate server, dead or alive, on the data that it had."""
        self._kill("restate-server")
        self._spawn("restate-server")
        self._await_health("restate-server")

    def is_running(self) -> bool:
        """Whether both servers of the recorded pair are alive."""
        return bool(self._process("ministack") and self._process("restate-server"))

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold this cloud alone among processes, waiting for whoever is changing it now."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self.step("Waiting for another command on this cloud"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # Stacks

    def deploy(
        self, context: Mapping[str, str] | None = None, app: str | None = None, stack: str = STACK
    ) -> dict[str, str]:
        """`cdk deploy` the holiday's stack, registered with this cloud's Restate, and return its outputs.

        `context` adds to or replaces the settings that the stack gets. `app` is the command of a variant of this
        checkout's app, and `stack` the name of its stack. Raises LocalCloudError with cdk's own words.
        """
        settings = {"bundleFor": "host", "disposable": "true", **(context or {})}
        deployed = self._deploy(CdkApp(stack, app), [stack], settings).get(stack, {})
        if stack == STACK:
            self._update(outputs=deployed)
        return deployed

    def destroy(self, stack: str = STACK) -> None:
        """`cdk destroy` the stack, as the last deploy synthesized it."""
        stacks.destroy(self, CdkApp(stack), [stack])
        if stack == STACK:
            self._update(outputs={})

    def deploy_app(
        self,
        command: str,
        folder: Path | None = None,
        names: Sequence[str] = (),
        context: Mapping[str, str] | None = None,
    ) -> dict[str, dict[str, str]]:
        """`cdk deploy` anybody's app, which `command` synthesizes in `folder`: by default the one that Python runs in.

        names: of the stacks that are deployed, besides those that they need. Default: all.
        context: what the app gets besides `adminUrl` and `ingressUrl`, which say where this cloud's Restate is.

        Returns {stack: its outputs}. Raises LocalCloudError with cdk's own words.
        """
        return self._deploy(CdkApp.of(command, folder or Path.cwd()), names, context or {})

    def destroy_app(self, command: str, folder: Path | None = None, names: Sequence[str] = ()) -> None:
        """`cdk destroy` what `deploy_app` deployed by this command in this folder, by default all of it."""
        self._demand_record()
        stacks.destroy(self, CdkApp.of(command, folder or Path.cwd()), names)

    def _deploy(self, app: CdkApp, names: Sequence[str], context: Mapping[str, str]) -> dict[str, dict[str, str]]:
        if not self._demand_record().bootstrapped:
            stacks.bootstrap(self)
            self._update(bootstrapped=True)
        return stacks.deploy(self, app, names, context)

    def outputs(self) -> dict[str, str]:
        """The outputs of the last deploy of HolidayStack; empty before it and after destroy."""
        return self._demand_record().outputs

    # What the others use

    def environment(self) -> dict[str, str]:
        """The environment built from nothing for a local command that uses this cloud."""
        return local_environment(self.aws_url, self.directory / "tmp")

    def mark(self) -> dict[str, str]:
        """The variable by which `stop` finds a process of this cloud that it did not start itself."""
        return {MARK: self._demand_record().mark}

    def log(self, name: str) -> Path:
        """Where a server's or cdk's output goes."""
        return self.directory / "logs" / f"{name}.log"

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> "CloudWatchClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["iam"]) -> "IAMClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["stepfunctions"]) -> "SFNClient": ...
    @overload
    def client(self, service: Literal["sts"]) -> "STSClient": ...
    def client(self, service: Any) -> Any:
        """A boto3 client of the emulator, whatever the caller's own environment says."""
        if service not in self._clients:
            self._clients[service] = local_client(service, self.aws_url)
        return self._clients[service]

    # Processes

    def _spawn(self, server: Server) -> None:
        record = self._demand_record()
        environment = self.environment() | self._settings(server) | {MARK: record.mark}
        command = [sys.executable, *self.emulator] if server == "ministack" else [str(_restate_server())]
        with self.log(server).open("ab") as log, uninterrupted():
            child = subprocess.Popen(
                command,
                cwd=ROOT if server == "ministack" else self.directory,  # a module is looked for where Python starts
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children.append(child)
            created = psutil.Process(child.pid).create_time()
            self._update(servers=record.servers | {server: (child.pid, created)})

    def _settings(self, server: Server) -> dict[str, str]:
        data = self.directory / "data" / server
        data.mkdir(parents=True, exist_ok=True)
        if server == "ministack":
            return emulator.settings(HOST, self.ports.aws, data, self.auth)
        return {
            "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{self.ports.ingress}",
            "RESTATE_INGRESS__REQUEST_SIZE_LIMIT": "1MB",
            "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{self.ports.admin}",
            "RESTATE_BIND_ADDRESS": f"{HOST}:{self.ports.node}",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BASE_DIR": str(data),
            "RESTATE_NODE_NAME": "local",
            "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
            "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MB",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FORMAT": "compact",
            "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
            **dict.fromkeys(VQUEUES_AND_V7, "true"),
            **self.restate_settings,
        }

    def _process(self, server: str) -> psutil.Process | None:
        """The recorded server's process, or None if it has ended."""
        record = self._record()
        pid, created = record.servers.get(server, (0, 0.0)) if record else (0, 0.0)
        self._reap()
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid) if pid else None
            if process and process.create_time() == created and is_alive(process):
                return process
        return None

    def _kill(self, server: Server) -> None:
        if process := self._process(server):
            end([process], hard=True)
            self._reap()

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _await_health(self, server: Server) -> None:
        addresses = {
            "ministack": [f"{self.aws_url}/_ministack/health"],
            "restate-server": [f"{self.admin_url}/health", f"{self.ingress_url}/restate/health"],
        }[server]
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if not self._process(server):
                raise LocalCloudError(f"{server} ended while it was starting; its log is {self.log(server)}.")
            if all(answers(address) for address in addresses):
                return
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"{server} runs but does not answer after {START_TIMEOUT:.0f} s; its log is {self.log(server)}."
                )
            time.sleep(0.05)

    def _refuse_taken_ports(self) -> None:
        for name, port in asdict(self.ports).items():
            if not is_free(port):
                raise LocalCloudError(
                    f"Port {port} (the local cloud's {name} port) is in use by {holder(port)}: "
                    "end that first (`make down`, if it is another checkout's cloud); nothing was started."
                )

    # What is on disk

    def _prepare_directory(self) -> None:
        logs, previous = self.directory / "logs", self.directory / "logs-of-the-run-before"
        if logs.exists():
            _delete(previous)
            logs.rename(previous)
        logs.mkdir(parents=True)
        _delete(self.directory / "data")

    def _record(self) -> Record | None:
        path = self.directory / "cloud.json"
        try:
            return Record(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise LocalCloudError(
                f"{path} does not say which servers run: end what listens on ports "
                f"{', '.join(str(port) for port in asdict(self.ports).values())}, then delete that file."
            ) from None

    def _demand_record(self) -> Record:
        if record := self._record():
            return record
        raise LocalCloudError("The local cloud is not running: start it with `make up`.")

    def _write(self, record: Record) -> None:
        whole = self.directory / "cloud.json.new"
        whole.write_text(json.dumps(asdict(record), indent=2))
        whole.replace(self.directory / "cloud.json")

    def _update(self, **changes: Any) -> None:
        self._write(replace(self._demand_record(), **changes))


def answers(url: str) -> bool:
    """Whether this address answers 200 now."""
    with suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    return False


def _restate_server() -> Path:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"restate-server-{sys.platform}-{machine}"
    binary = ROOT / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    if not binary.exists():
        raise LocalCloudError(f"There is no restate-server for this machine ({package}): run `make setup`.")
    return binary


def _mark_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error, OSError):
        return process.environ().get(MARK)
    return None


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
