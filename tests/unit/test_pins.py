"""Everything is pinned; and `make update`: what it asks for, what it says, and that a failure changes nothing."""

import importlib.metadata
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import pins
from holiday_stack import bundling

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pinned_files(tmp_path: Path) -> Path:
    """A copy of all that pins something."""
    for name in (*pins.FILES, ".npmrc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in pins.FILES}


def write_other_constraints(root: Path) -> None:
    (root / "constraints.txt").write_text("anyio==99\n")


def test_what_is_asked_for_is_never_older_and_of_the_same_major_version() -> None:
    text = "# a comment==1\n-r other.txt\nboto3-stubs[sns,sqs]==1.43.106\nmsgspec==0.22.0 \\\n    --hash=sha256:00\n"

    assert pins.newer(text) == ["boto3-stubs[sns,sqs]>=1.43.106,<2", "msgspec>=0.22.0,<1"]


def test_changes_are_told_one_a_line_from_old_to_new() -> None:
    before = {"same": "1", "raised": "1.2", "gone": "3"}

    assert pins.changes(before, {"same": "1", "raised": "1.10", "new": "4"}) == [
        "gone 3 → (none)",
        "new (none) → 4",
        "raised 1.2 → 1.10",
    ]


def test_an_update_that_fails_says_so_and_changes_nothing(pinned_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given that pip finds nothing
    before = contents(pinned_files)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    # when
    with pytest.raises(pins.UpdateError, match=r"^Nothing is changed, because pip failed: ERROR: .*") as error:
        pins.update(pinned_files)

    # then
    assert "\n" not in str(error.value)
    assert contents(pinned_files) == before
    assert not any((pinned_files / ".local").iterdir())


def test_an_update_that_fails_at_its_end_changes_nothing_either(
    pinned_files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given that Python's part goes well, with other versions, and npm fails
    before = contents(pinned_files)
    monkeypatch.setattr(pins, "_update_python", write_other_constraints)
    failing = tmp_path_factory.mktemp("bin") / "npm"
    failing.write_text("#!/bin/sh\necho npm error code ENOTFOUND >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{failing.parent}{os.pathsep}{os.environ['PATH']}")

    # when
    with pytest.raises(pins.UpdateError, match="because npm failed: npm error code ENOTFOUND"):
        pins.update(pinned_files)

    # then
    assert contents(pinned_files) == before


def test_what_lambda_runs_is_pinned_with_hashes_for_every_runtime_and_machine() -> None:
    for name in pins.LAMBDAS:
        text = (ROOT / name).read_text()
        for pin in pins.PIN.finditer(text):
            hashes = text[pin.end() :].partition("==")[0].count("--hash=sha256:")
            assert hashes >= len(pins.MACHINES) * (len(bundling.PYTHONS) + 1), f"{pin[0]} in {name}"


def test_every_pin_is_exact_and_everything_that_is_required_is_pinned() -> None:
    constraints = {
        pin[0].lower().replace("_", "-") for pin in pins.PIN.finditer((ROOT / "constraints.txt").read_text())
    }
    for name in pins.TOOLS:
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
        for line in lines:
            pin = pins.PIN.fullmatch(line)
            assert pin, f"{line} in {name}"
            assert f"{pin[1]}=={pin[3]}".lower() in constraints


def test_the_lock_of_node_js_packages_is_for_four_machines_and_names_no_address() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())
    for tool in ("restate", "restate-server"):
        machines = {path.partition(f"/@restatedev/{tool}-")[2] for path in packages} - {""}
        assert {"linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"} <= machines
    assert not [path for path, about in packages.items() if "resolved" in about]
    assert all("integrity" in about for path, about in packages.items() if path)


def test_the_tests_run_on_what_lambda_runs() -> None:
    for name in pins.LAMBDAS:
        for pin in pins.PIN.finditer((ROOT / name).read_text()):
            assert importlib.metadata.version(pin[1]) == pin[3]
