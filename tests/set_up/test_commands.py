"""What make runs with options of its own starts outside of pytest too, which finds more modules."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", ["chaos CHAOS", "acceptance ACCEPTANCE", "stuck STUCK", "bench BENCH"])
def test_a_command_says_what_it_takes(options: str) -> None:
    command, variable = options.split()

    done = subprocess.run(
        ["make", command, f"{variable}=--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "usage: python -m" in done.stdout
