"""A small function, the library that it requires, and the folder where packages are built."""

from pathlib import Path

import pytest

from holiday_stack.libraries import Target
from tests.unit.bundling.wheels import shelve


@pytest.fixture
def lambdas(tmp_path: Path) -> Path:
    """The sources of a small function, with leftovers that do not belong in a package."""
    folder = tmp_path / "lambdas"
    (folder / "greet" / "__pycache__").mkdir(parents=True)
    (folder / "greet" / "hello.py").write_text("print('hello')\n")
    (folder / "greet" / "local.py").write_text("print('only on a laptop')\n")
    (folder / "greet" / "__pycache__" / "hello.cpython-311.pyc").write_bytes(b"bytecode")
    return folder


@pytest.fixture
def target(tmp_path: Path, lambdas: Path) -> Target:
    """A target for which uv finds the function's library in a local directory."""
    return shelve(tmp_path / "shelf", lambdas, {"greeting/__init__.py": "", "greeting/native.so": ""})


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local"
