"""Finds the commands of a page in docs/, runs them, and compares their output with what the page shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from localcloud.cloud import LocalCloud
from localcloud.environment import ROOT
from tests.deploy.command import command_line
from tests.expectations import COMPENSATIONS

ORIGINAL = ("payments.refund", "cars.cancel", "flights.cancel")
"""The compensations of a trip whose payment failed."""


def section(page: str, heading: str) -> str:
    """The text under this heading of a page in docs/."""
    return (ROOT / "docs" / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """The commands in the console blocks, each with the output lines that the page shows.

    Where the page lists the compensations of the original three services, those of added services are inserted.
    """
    text = text.replace(", ".join(ORIGINAL), ", ".join(COMPENSATIONS[COMPENSATIONS.index(ORIGINAL[0]) :]))
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in dedent(block).splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def comparable(printed: str) -> list[str]:
    """The printed lines without what differs between runs: ids, times, column widths, colours."""
    without = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    without = re.sub(r"\b(inv|dp)_\w+", r"\1", without)
    without = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "at", without)
    return [" ".join(line.split()) for line in without.splitlines()]


def prints(expected: list[str], seen: tuple[int, str]) -> bool:
    """Whether a command with this exit status and output succeeded and printed all of the lines."""
    status, printed = seen
    return status == 0 and set(expected) <= set(comparable(printed))


def run(cloud: LocalCloud, command: str) -> tuple[int, str]:
    """Run a command in bash, with the project's own tools first on PATH. Returns the exit status and the output."""
    path = f"{Path(sys.executable).parent}:{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PATH": path, "HOME": str(cloud.directory), "RESTATE_ADMIN_URL": cloud.admin_url},
    )
    return done.returncode, done.stdout


def here(cloud: LocalCloud, command: str) -> str:
    """A page's command, changed to use this cloud instead of the default one."""
    cancel = f"PYTHONPATH={ROOT} {shlex.join([*command_line(cloud, 'demo'), 'cancel', '--'])}"
    urls = {"http://127.0.0.1:8080": cloud.ingress_url, "http://127.0.0.1:9070": cloud.admin_url}
    for default, own in {**urls, "make cancel ID=": f"{cancel} "}.items():
        command = command.replace(default, own)
    return command
