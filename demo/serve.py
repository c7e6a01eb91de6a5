"""`make serve`: all services in one process on :9080, as Restate's latest deployment while it runs.

The process has the variables of the deployed functions, so the tables and the topic are the local cloud's. At the end
the stack's own deployments become the latest again, and the registration of :9080 is removed once no unfinished
invocation is pinned to it: without it, such an invocation would be retried for ever and keep its trip's key.
`clear_stale` does the same for a `make serve` that was killed.

The registration is marked as a development server's, so that `make up` may take over its services.

With `make serve DEBUG=1` a debugger can attach, and attach again after a reload. At the end it is detached first, so
that a step that is stopped at a breakpoint continues and its trip ends here, if it ends soon.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO

import httpx
import watchfiles
from botocore.exceptions import BotoCoreError

from demo.cloud import HolidayCloud
from localcloud.admin import Admin
from localcloud.debugger import DebuggerPort
from localcloud.environment import ROOT, LocalCloudError
from localcloud.ports import HOST, answers, holder, is_free
from localcloud.services import Services

PORT = 9080
DEBUGGER_PORT = 5678  # debugpy's own, which editors suggest
LAMBDAS = ROOT / "lambdas"
DEVELOPMENT_SERVER = {"development-server": "make serve"}
SKIPPING_BREAKPOINTS = {"PYTHONBREAKPOINT": "holiday.local.skip_breakpoint"}  # a debugger has a hook of its own
DRAIN_TIMEOUT = 5.0

Say = Callable[[str], None]


def services(
    cloud: HolidayCloud, port: int, output: IO[bytes] | None = None, debugger: DebuggerPort | None = None
) -> Services:
    """The process of all services, not started yet. It ends when the cloud ends, or earlier."""
    environment = cloud.environment() | _variables(cloud) | cloud.run_id() | SKIPPING_BREAKPOINTS
    return Services("holiday.local", LAMBDAS, port, environment, output, debugger)


def run(cloud: HolidayCloud, say: Say, port: int = PORT, debugger_port: int | None = None) -> None:
    """Serve until Ctrl-C, which is not an error.

    Args:
        cloud: the local cloud, with the stack deployed.
        say: prints a line.
        port: where the services listen.
        debugger_port: where a debugger can attach. Default: nowhere.

    Raises:
        LocalCloudError: a port is in use, the services did not start, or the cloud has ended.
    """
    for needed in (port, *([debugger_port] if debugger_port else [])):
        if not is_free(needed):
            raise LocalCloudError(
                f"Port {needed} is in use by {holder(needed)}: end that first, then run `make serve` again."
            )
    with suppress(KeyboardInterrupt), DebuggerPort(debugger_port) if debugger_port else nullcontext() as debugger:
        _serve(cloud, say, services(cloud, port, debugger=debugger), debugger)


def clear_stale(cloud: HolidayCloud, say: Say, port: int = PORT) -> None:
    """After a deploy: keep what `make serve` registered as the latest if it still runs, otherwise remove it."""
    admin, url = Admin(cloud.admin_url), f"http://{HOST}:{port}"
    if not admin.find(url):
        return
    if answers(f"{url}/health"):
        admin.register({"uri": url}, DEVELOPMENT_SERVER)
        say(f"`make serve` is running: trips run on {url} until it ends, and on this deployment after that.")
    else:
        _deregister(cloud, admin, url, say)


def _serve(cloud: HolidayCloud, say: Say, services: Services, debugger: DebuggerPort | None) -> None:
    admin = Admin(cloud.admin_url)
    try:
        if not services.start():
            raise LocalCloudError("The services did not start: their output is above.")
        admin.register({"uri": services.url}, DEVELOPMENT_SERVER)
        *names, last = cloud.versions()
        say(f"Serving {', '.join(names)} and {last} on {services.url}: trips run there until Ctrl-C.")
        if debugger:
            say(f"Attach a debugger to {HOST}:{debugger.port}: F5 in VS Code, Attach to DAP in PyCharm.")
        say(f"Book: curl {cloud.ingress_url}/trips/reserve --json '{{}}'")
        source, python, run_id = LAMBDAS / "holiday", watchfiles.PythonFilter(), cloud.run_id()
        for changes in watchfiles.watch(source, watch_filter=python, yield_on_timeout=True, rust_timeout=1000):
            if not cloud.is_running() or cloud.run_id() != run_id:
                raise LocalCloudError("The local cloud of these services has ended, so they ended too.")
            if not changes:
                continue
            changed = ", ".join(sorted({Path(path).name for _, path in changes}))
            if services.start():
                admin.register({"uri": services.url}, DEVELOPMENT_SERVER)
                say(f"{changed} changed: reloaded.")
            else:
                say(f"{changed} changed, and the services failed to start. The next change tries again.")
    finally:
        if debugger:
            debugger.detach()
        try:
            _deregister(cloud, admin, services.url, say)
        except (httpx.TransportError, BotoCoreError):
            say("The local cloud is down, and with it this registration.")
        services.stop()


def _deregister(cloud: HolidayCloud, admin: Admin, url: str, say: Say) -> None:
    """Make the stack's deployments the latest, then remove the one at `url` unless something is pinned to it."""
    deployment = admin.find(url)
    if deployment is None:
        return
    admin.register_versions(cloud.versions().values())
    deadline = time.monotonic() + DRAIN_TIMEOUT
    while (waiting := admin.unfinished(deployment)) and answers(f"{url}/health") and time.monotonic() < deadline:
        time.sleep(0.1)
    if waiting:
        say(f"New trips run on Lambda again; {waiting} unfinished invocation(s) wait for the next `make serve`.")
    else:
        admin.remove(deployment)
        say("Trips run on Lambda again.")


def _variables(cloud: HolidayCloud) -> dict[str, str]:
    """The environment variables of all of the stack's functions."""
    functions = cloud.client("lambda")
    variables: dict[str, str] = {}
    for version in cloud.versions().values():
        variables |= functions.get_function_configuration(FunctionName=version)["Environment"].get("Variables", {})
    return variables
