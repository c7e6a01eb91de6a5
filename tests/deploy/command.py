"""The command line for another cloud than `make up`'s: its first two arguments are the directory and the ports.

Run as a file, because `python -m` would look for this module in the folder that it is started in.
"""

import sys
from dataclasses import asdict
from pathlib import Path

from localcloud.__main__ import main
from localcloud.cloud import LocalCloud, Ports


def of(cloud: LocalCloud) -> list[str]:
    """What takes the place of `python -m localcloud` for this cloud; the command's own arguments follow."""
    ports = ",".join(str(port) for port in asdict(cloud.ports).values())
    return [sys.executable, str(Path(__file__).resolve()), str(cloud.directory), ports]


if __name__ == "__main__":
    directory, ports = sys.argv.pop(1), sys.argv.pop(1)
    sys.exit(main(LocalCloud(Path(directory), Ports(*map(int, ports.split(","))))))
