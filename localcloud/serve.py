"""`make serve`: the four services in one process on :9080, as Restate's latest deployment while it runs.

The tables and the topic are the local cloud's. At the end the stack's own deployments become the latest again, and the
registration of :9080 is removed once no unfinished invocation is pinned to it: without it, such an invocation would be
retried for ever and keep its trip's key. `clear_stale` does the same for a `make serve` that was killed.

The registration is marked as a development server's, so that `make up` is not refused for taking over its services.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import httpx
import watchfiles

from localcloud.cloud import LocalCloud, answers
from localcloud.environment import ROOT, LocalCloudError
from localcloud.invocations import unfinished
from localcloud.processes import HOST, end_group, holder, is_free, uninterrupted

PORT = 9080
LAMBDAS = ROOT / "lambdas"
START_TIMEOUT = 30.0
DRAIN_TIMEOUT = 5.0
TABLES = {
    "FLIGHTS_TABLE_NAME": "FlightsTableName",
    "CARS_TABLE_NAME": "CarsTableName",
    "PAYMENTS_TABLE_NAME": "PaymentsTableName",
    "SNS_TOPIC": "TopicArn",
}
VERSIONS = ("FlightsVersionArn", "CarsVersionArn", "PaymentsVersionArn", "TripsVersionArn")

Say = Callable[[str], None]


class Admin:
    """What is needed of Restate's admin API, beside what the registration function asks."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def register(self, address: dict[str, str]) -> None:
        """Make the deployment at this `uri` or `arn` the latest of its services."""
        mark = {"metadata": {"development-server": "make serve"}} if "uri" in address else {}
        answer = self._http.post("/deployments", json={**address, **mark, "force": True, "breaking": True})
        if answer.is_error:
            raise LocalCloudError(f"Restate does not take {next(iter(address.values()))}: {answer.text}")

    def register_stack(self, outputs: Mapping[str, str]) -> None:
        """Make the stack's own deployments the latest again."""
        for version in VERSIONS:
            self.register({"arn": outputs[version]})

    def find(self, uri: str) -> str | None:
        """The id of the deployment at this address."""
        deployments: list[dict[str, Any]] = self._http.get("/deployments").json()["deployments"]
        return next((found["id"] for found in deployments if found.get("uri", "").rstrip("/") == uri), None)

    def unfinished(self, deployment: str) -> int:
        """How many invocations will only ever continue on this deployment."""
        return len(self.query(unfinished(f"pinned = '{deployment}'", "id")))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Ask Restate's introspection tables."""
        answer = self._http.post("/query", json={"query": sql}, headers={"accept": "application/json"})
        return answer.raise_for_status().json()["rows"]

    def remove(self, deployment: str) -> None:
        """Forget a deployment that nothing is pinned to."""
        self._http.delete(f"/deployments/{deployment}", params={"force": "true"}).raise_for_status()


class Services:
    """The process of `holiday.local`, started again whenever its code changes. `output` is where it logs: here."""

    def __init__(self, cloud: LocalCloud, port: int, output: IO[bytes] | None = None) -> None:
        outputs = cloud.outputs()
        self.url = f"http://{HOST}:{port}"
        self._command = [sys.executable, "-m", "holiday.local", "--port", str(port)]
        self.environment = cloud.environment() | {name: outputs[output] for name, output in TABLES.items()}
        self.environment |= {"PYTHONPATH": str(LAMBDAS)} | cloud.mark()
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until it answers; False if it ended instead, having said why on the terminal."""
        self.stop()
        # A session of its own: Ctrl-C reaches `make serve` alone, which ends this after it has taken its leave.
        with uninterrupted():
            self._process = subprocess.Popen(
                self._command,
                cwd=LAMBDAS,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            if answers(f"{self.url}/health"):
                return True
            time.sleep(0.05)
        self.stop()
        return False

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self._process:
            end_group(self._process)
        self._process = None


def run(cloud: LocalCloud, say: Say, port: int = PORT) -> None:
    """Serve until Ctrl-C, which is how this ends and so no error."""
    if not is_free(port):
        raise LocalCloudError(f"Port {port} is in use by {holder(port)}: end that first, then run `make serve` again.")
    with suppress(KeyboardInterrupt):
        _serve(cloud, say, Services(cloud, port))


def clear_stale(cloud: LocalCloud, say: Say, port: int = PORT) -> None:
    """After a deploy: what `make serve` registered stays the latest if it runs, and is cleared away if not."""
    admin, url = Admin(cloud.admin_url), f"http://{HOST}:{port}"
    if not admin.find(url):
        return
    if answers(f"{url}/health"):
        admin.register({"uri": url})
        say(f"`make serve` is running: trips run on {url} until it ends, and on this deployment after that.")
    else:
        _leave(cloud, admin, url, say)


def _serve(cloud: LocalCloud, say: Say, services: Services) -> None:
    admin = Admin(cloud.admin_url)
    try:
        if not services.start():
            raise LocalCloudError("The services did not start: what they said is above.")
        admin.register({"uri": services.url})
        say(f"Serving trips, flights, cars and payments on {services.url}: trips run there until Ctrl-C.")
        say(f"Book: curl {cloud.ingress_url}/trips/reserve --json '{{}}'")
        source, python, mark = LAMBDAS / "holiday", watchfiles.PythonFilter(), cloud.mark()
        for changes in watchfiles.watch(source, watch_filter=python, yield_on_timeout=True, rust_timeout=1000):
            if not cloud.is_running() or cloud.mark() != mark:
                raise LocalCloudError("The local cloud that these services belong to has ended, and they with it.")
            if not changes:
                continue
            changed = ", ".join(sorted({Path(path).name for _, path in changes}))
            if services.start():
                admin.register({"uri": services.url})
                say(f"{changed} changed: reloaded.")
            else:
                say(f"{changed} changed, and the services do not start: they are tried again at the next change.")
    finally:
        try:
            _leave(cloud, admin, services.url, say)
        except httpx.TransportError:
            say("The local cloud is down, and this registration gone with it.")
        services.stop()


def _leave(cloud: LocalCloud, admin: Admin, url: str, say: Say) -> None:
    """Make the stack's deployments the latest, then remove the one at `url` unless something is pinned to it."""
    deployment = admin.find(url)
    if deployment is None:
        return
    admin.register_stack(cloud.outputs())
    deadline = time.monotonic() + DRAIN_TIMEOUT
    while (waiting := admin.unfinished(deployment)) and answers(f"{url}/health") and time.monotonic() < deadline:
        time.sleep(0.1)
    if waiting:
        say(f"New trips run on Lambda again; {waiting} unfinished invocation(s) wait for the next `make serve`.")
    else:
        admin.remove(deployment)
        say("Trips run on Lambda again.")
