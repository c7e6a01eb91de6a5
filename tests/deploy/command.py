"""The command lines for another cloud than `make up`'s: the first three arguments are the program, the directory and
the ports.

Run as a file, because `python -m` would look for this module in the folder that it is started in.
"""

import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Literal

from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.ports import Ports


def of(cloud: LocalCloud, program: Literal["acceptance", "demo", "localcloud"]) -> list[str]:
    """What takes the place of `python -m <program>` for this cloud; the command's own arguments follow."""
    ports = ",".join(str(port) for port in asdict(cloud.ports).values())
    return [sys.executable, str(Path(__file__).resolve()), program, str(cloud.directory), ports]


if __name__ == "__main__":
    program, directory, ports = (sys.argv.pop(1) for _ in range(3))
    main = import_module(f"{program}.__main__").main  # alone: only the acceptance has the Lambda code on its path
    sys.exit(main(HolidayCloud(Path(directory), Ports(*map(int, ports.split(","))))))
