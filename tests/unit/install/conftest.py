"""A checkout that is not set up."""

import json
import os
from pathlib import Path

import pytest

from dependencies import sources
from dependencies.missing import CPU, PLATFORM
from tests.unit.install.checkout import LOCAL_PACKAGE, NPM, SERVER, UV, UV_VERSION, wheel


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that is not set up, with its one library, uv and npm in a local directory."""
    root, shelf = tmp_path / "check out", tmp_path / "shelf"
    root.mkdir()
    shelf.mkdir()
    uv = wheel(shelf, "uv", UV_VERSION, {f"uv-{UV_VERSION}.data/scripts/uv": f'#!/bin/sh\nexec "{UV}" "$@"\n'})
    greeting = wheel(shelf, "greeting", "1", {"greeting/__init__.py": "", "greeting-1.data/scripts/npm": NPM})
    (root / "requirements.txt").write_text(uv)
    (root / "requirements-dev.txt").write_text(uv + greeting)
    constructs = root / "packages" / "our-constructs"
    (constructs / "src" / "our_constructs").mkdir(parents=True)
    (constructs / "src" / "our_constructs" / "__init__.py").touch()
    (constructs / "pyproject.toml").write_text(LOCAL_PACKAGE)
    (root / "pyproject.toml").write_text('[tool.uv.sources]\nour-constructs = { path = "packages/our-constructs" }\n')
    packages = {"aws-cdk": {}, SERVER: {"dev": True, "optional": True, "os": [PLATFORM], "cpu": [CPU]}}
    packages["@restatedev/restate-server-plan9-x64"] = {"dev": True, "optional": True, "os": ["plan9"], "cpu": ["x64"]}
    lock = {f"node_modules/{name}": {"version": "1", **about} for name, about in packages.items()}
    (root / "package-lock.json").write_text(json.dumps({"packages": {"": {}, **lock}}))
    monkeypatch.setattr(sources, "OF_THE_SYSTEM", {"pip": [], "uv": []})
    for name in [name for name in os.environ if sources.DROPPED.fullmatch(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nothing"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return root
