"""The report of an acceptance: what was checked, how it ended, and what is left behind.

It can be shared: it contains no key, account number or environment id, and does not say who ran it, or where their
Restate is.
"""

import importlib.metadata
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx

from acceptance.sites import Site
from demo.restate import LOOPBACK
from localcloud.environment import ROOT

PACKAGES = ("aws-cdk-lib", "restate-sdk", "boto3", "ministack")
SECRETS = {
    r"\b\d{12}\b": "<account>",
    r"\benv_[a-z0-9]+\b": "<environment>",
    r"\b[a-z0-9]+(?=\.env\.(us|eu)\.restate\.cloud\b)": "<environment>",
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b": "<access key>",
    r"[\w.+-]+@[\w.-]+\.[A-Za-z]{2,}\b": "<e-mail>",
}
CLOUD_OR_LOCAL = re.compile(r".*\.restate\.cloud|" + "|".join(map(re.escape, LOOPBACK)))


@dataclass(frozen=True)
class Result:
    """How a check ended. `evidence` is what it saw, or what was wrong."""

    title: str
    status: Literal["ok", "failed", "not run"]
    evidence: str = ""
    seconds: float = 0


def redact(text: str, key: str | None, *urls: str) -> str:
    """The text on one line, without the key, account numbers, environment ids, people and the hosts of these URLs."""
    if key:
        text = text.replace(key, "<key>")
    text = text.replace(str(Path.home()), "~")
    for host in {urlsplit(url).hostname or "" for url in urls}:
        if host and not CLOUD_OR_LOCAL.fullmatch(host):
            text = re.sub(re.escape(host), "<restate>", text, flags=re.IGNORECASE)
    for pattern, name in SECRETS.items():
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


def versions(site: Site) -> dict[str, str]:
    """The versions of everything that runs; "unknown" if one cannot be read."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    try:
        restate = site.admin.version()
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        restate = "unknown"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    here = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return {"commit": commit or "unknown", "Restate": restate, "Python": here, **found}


def page(
    name: str, where: str, versions: dict[str, str], results: Sequence[Result], ending: str, left: Sequence[str]
) -> str:
    """The report in Markdown. `ending` is the result in one sentence."""
    seconds = sum(result.seconds for result in results)
    lines = [
        f"# {name}: {ending}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {where}, {seconds:.0f} s of checks.",
        ", ".join(f"{what} {version}" for what, version in versions.items()) + ".",
        "",
        "| check | | evidence | seconds |",
        "|---|---|---|---|",
        *(
            f"| {each.title} | {each.status} | {each.evidence.replace('|', chr(92) + '|')} | {each.seconds:.1f} |"
            for each in results
        ),
        "",
        "Left behind:" if left else "Left behind: nothing.",
        *(f"- {line}" for line in left),
    ]
    return "\n".join(lines).rstrip() + "\n"
