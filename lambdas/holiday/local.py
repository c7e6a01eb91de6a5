"""All services in one process, for a laptop: `python -m holiday.local`.

The same objects that Lambda runs, over HTTP/2 instead of Lambda's request and response. SIGTERM ends the process at
once, and Restate retries what was under way: a graceful shutdown would never end while a trip waits for a step, which
can no longer connect. Restate's SDK handles SIGTERM, so this goes through its hook. Under a debugger, the services'
time-outs are one day: by default, Restate would suspend a handler that is stopped at a breakpoint after a minute, and
begin another attempt after ten more.
"""

import argparse
import asyncio
import os
import signal
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from restate.server import install_shutdown_hook

from holiday.services import SERVICES
from holiday.trips import trips

REQUIRED = (*(row.table_variable for row in SERVICES.values()), "SNS_TOPIC")


async def run(port: int) -> None:
    """Serve until SIGTERM or SIGINT, which end the process."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(asyncio.get_running_loop(), lambda: os._exit(0), signum)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "ERROR"
    services = [*(getattr(import_module(f"holiday.{name}"), name) for name in SERVICES), trips]
    if "debugpy" in sys.modules:
        for service in services:
            service.inactivity_timeout = service.abort_timeout = timedelta(days=1)
    app = restate.app(services)
    await serve(app, config, shutdown_trigger=asyncio.Event().wait)  # pyright: ignore[reportArgumentType]


def skip_breakpoint(*_args: object, **_options: object) -> None:
    """Replaces `breakpoint()` under `make serve` without a debugger: pdb has no terminal and would raise BdbQuit."""
    caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    where = f"{Path(caller.f_code.co_filename).name}, line {caller.f_lineno}"
    print(
        f"breakpoint() skipped in {where}: to stop there, run `make serve DEBUG=1` and attach a debugger.", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9080, help="port on 127.0.0.1 to listen on (default: 9080)")
    port: int = parser.parse_args().port
    if missing := [name for name in REQUIRED if not os.environ.get(name)]:
        sys.exit(f"Set {', '.join(missing)} first, or use `make serve`, which sets them.")
    asyncio.run(run(port))


if __name__ == "__main__":
    main()
