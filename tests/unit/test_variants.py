"""The edits that slow tests make to the sources still apply. Checking that takes a second."""

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.environment import ROOT
from tests.deploy import variants
from tests.expectations import of_the_original_three


def test_the_marked_code_says_which_version_ran(tmp_path: Path) -> None:
    folder = variants.code_marked(tmp_path / "lambdas", "second")

    assert 'code: str = "second"' in (folder / "holiday" / "messages.py").read_text()
    assert '"code": "second"' in (folder / "holiday" / "bookings.py").read_text()


@of_the_original_three
def test_the_page_s_hotels_and_their_drain_time_fit_the_stack(tmp_path: Path) -> None:
    variants.with_hotels(tmp_path, drain=3)

    assert "drain=Duration.seconds(3)" in (tmp_path / "holiday_stack" / "stack.py").read_text()


@of_the_original_three
def test_the_page_s_service_passes_the_linter_and_the_formatter(tmp_path: Path) -> None:
    variants.edited(tmp_path / "lambdas", {})
    variants.apply(tmp_path, *(block for block in variants.BLOCKS if "b/lambdas/" in block))

    settings = ("--config", str(ROOT / "pyproject.toml"), "--no-cache", "lambdas/holiday")
    for command in (("check",), ("format", "--check")):
        ruff = [sys.executable, "-m", "ruff", *command, *settings]
        found = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def test_replacing_a_missing_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"flights\.py must contain 'no such text' exactly once"):
        variants.edited(tmp_path / "lambdas", {"flights.py": ("no such text", "")})
