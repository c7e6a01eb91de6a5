"""Runs the project's commands on another cloud than `make up`'s.

The first three arguments are the program, the cloud's directory and its ports. It is run as a file, because `python -m`
would look for this module in the current directory.
"""

import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Literal

from demo.cloud import HolidayCloud
from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from localcloud.ports import Ports


def command_line(cloud: LocalCloud, program: Literal["acceptance", "demo", "localcloud"]) -> list[str]:
    """Replaces `python -m <program>`, for this cloud. The command's own arguments follow."""
    ports = ",".join(str(port) for port in asdict(cloud.ports).values())
    return [sys.executable, str(Path(__file__).resolve()), program, str(cloud.directory), ports]


def start_command(cloud: LocalCloud, *arguments: str) -> subprocess.Popen[str]:
    """Start a command as `make` does, for this cloud instead of the default one."""
    program = "localcloud" if arguments == ("down",) else "demo"
    line, environment = [*command_line(cloud, program), *arguments], os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        line, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


if __name__ == "__main__":
    program, directory, ports = (sys.argv.pop(1) for _ in range(3))
    main = import_module(
        f"{program}.__main__"
    ).main  # not all three: only the acceptance has the Lambda code on its path
    sys.exit(main(HolidayCloud(Path(directory), Ports(*map(int, ports.split(","))))))
