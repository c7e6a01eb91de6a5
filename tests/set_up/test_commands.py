"""The commands that make runs also start outside pytest, which puts more modules on the path."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", ["chaos CHAOS", "acceptance ACCEPTANCE", "stuck STUCK", "bench BENCH"])
def test_a_command_prints_its_usage(options: str) -> None:
    command, variable = options.split()

    done = subprocess.run(
        ["make", command, f"{variable}=--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
