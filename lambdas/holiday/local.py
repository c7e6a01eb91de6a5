"""All services in one process, for a laptop: `python -m holiday.local`.

The same objects that Lambda runs, over HTTP/2 instead of Lambda's request and response. Restate's SDK wants SIGTERM
for itself, so the shutdown goes through the SDK's own hook.
"""

import argparse
import asyncio
import os
import signal
import sys
from importlib import import_module

import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from restate.server import install_shutdown_hook

from holiday.services import SERVICES
from holiday.trips import trips

REQUIRED = (*(row.table_variable for row in SERVICES.values()), "SNS_TOPIC")


async def run(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(asyncio.get_running_loop(), stop.set, signum)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 3
    config.loglevel = "ERROR"
    objects = [getattr(import_module(f"holiday.{name}"), name) for name in SERVICES]
    app = restate.app([*objects, trips])
    await serve(app, config, shutdown_trigger=stop.wait)  # pyright: ignore[reportArgumentType]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9080, help="listen on 127.0.0.1 at this port (default: 9080)")
    port: int = parser.parse_args().port
    if missing := [name for name in REQUIRED if not os.environ.get(name)]:
        sys.exit(f"Set {', '.join(missing)} first, or use `make serve`, which does.")
    asyncio.run(run(port))


if __name__ == "__main__":
    main()
