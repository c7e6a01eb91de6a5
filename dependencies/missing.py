"""Finds missing and damaged packages: compares the files on disk with each package's RECORD, or with the lock file.

uv trusts a `dist-info` directory, and npm only runs when something is missing, so neither would notice a file that was
deleted or truncated later.
"""

import csv
import json
import platform
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)
PLATFORM = sys.platform
CPU = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
SIZES = ".sizes.json"


def normal(name: str) -> str:
    """A Python package's normalized name, which is the same for all its spellings."""
    return re.sub(r"[-_.]+", "-", name).lower()


def damaged_python_packages(site_packages: Path, requirements: list[Path]) -> list[str]:
    """The pinned packages that are installed, but have missing files. uv finds those that are not installed."""
    pinned = {normal(pin[1]) for file in requirements for pin in PIN.finditer(file.read_text(encoding="utf-8"))}
    owners: dict[str, set[str]] = {}
    sizes: dict[str, set[str]] = {}
    for record in site_packages.glob("*.dist-info/RECORD"):
        name = normal(record.parent.name.partition("-")[0])
        for path, _, size in csv.reader(record.read_text(encoding="utf-8").splitlines()) if name in pinned else ():
            if not path.endswith((".pyc", ".dist-info/RECORD")):
                owners.setdefault(path, set()).add(name)
                sizes.setdefault(path, set()).add(size)  # two packages may install different versions of one file
    damaged = (path for path in owners if not _is_whole(site_packages / path, sizes[path]))
    return sorted({name for path in damaged for name in owners[path]})


def missing_node_packages(root: Path, *, for_deploying: bool = False) -> list[str]:
    """The packages of package-lock.json for this machine that are missing from node_modules, or damaged there."""
    lock: dict[str, dict[str, Any]] = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = {path: about for path, about in lock.items() if path and _is_for_this_machine(about)}
    if for_deploying:
        wanted = {path: about for path, about in wanted.items() if not about.get("dev")}
    damaged = set(_damaged_node_packages(root / "node_modules"))
    return sorted(
        path.removeprefix("node_modules/")
        for path, about in wanted.items()
        if path in damaged or _version(root / path) != about["version"]
    )


def note_sizes(node_modules: Path) -> None:
    """Record the sizes of what npm has just installed."""
    sizes = {str(file.relative_to(node_modules)): file.stat().st_size for file in _files(node_modules)}
    (node_modules / SIZES).write_text(json.dumps(sizes), encoding="utf-8")


def _damaged_node_packages(node_modules: Path) -> Iterator[str]:
    try:
        sizes: dict[str, int] = json.loads((node_modules / SIZES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # npm was run by hand
    for path, size in sizes.items():
        if not _is_whole(node_modules / path, {str(size)}):
            parts = path.split("/")
            yield "/".join(["node_modules", *parts[: 2 if parts[0].startswith("@") else 1]])


def _files(node_modules: Path) -> Iterator[Path]:
    return (file for file in node_modules.rglob("*") if file.is_file() and not file.is_symlink())


def _is_whole(file: Path, sizes: set[str]) -> bool:
    try:
        size = file.stat().st_size
    except OSError:
        return False
    return "" in sizes or str(size) in sizes


def _is_for_this_machine(about: dict[str, Any]) -> bool:
    return PLATFORM in about.get("os", [PLATFORM]) and CPU in about.get("cpu", [CPU])


def _version(package: Path) -> str | None:
    try:
        return json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        return None


def local_packages(root: Path) -> list[str]:
    """The folders under `root` of the packages that are installed from there."""
    uv = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {}).get("uv", {})
    return [source["path"] for source in uv.get("sources", {}).values()]
