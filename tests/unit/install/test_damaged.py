"""`make setup` where something is broken, missing or not its own: it reports that, and repairs only what it created."""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dependencies.install import Checkout, SetupError
from dependencies.missing import damaged_python_packages
from tests.unit.install.checkout import SERVER, given_uv, installed_in, make_environment, site_packages


@pytest.mark.parametrize(
    ("python", "why"),
    [
        ("#!/bin/sh\nexit 1\n", "its Python does not run"),
        ("#!/bin/sh\necho 3 10 True\n", r"its Python is 3\.10, older than 3\.11"),
        ("#!/bin/sh\necho 3 12 False\n", "it is not a virtual environment"),
        (None, "its Python does not run"),
    ],
)
def test_an_unusable_environment_that_make_did_not_create_is_reported_and_kept(
    root: Path, python: str | None, why: str
) -> None:
    # given an environment that make did not create
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "precious").touch()
    if python:
        (binaries / "python").write_text(python)
        (binaries / "python").chmod(0o755)

    # when the checkout is set up
    with pytest.raises(
        SetupError, match=rf"^\.venv was not created by make, and {why}: move it away or delete"
    ) as error:
        Checkout(root).set_up()

    # then
    assert "\n" not in str(error.value)
    assert (binaries / "precious").exists()


@pytest.mark.parametrize("broken", ["python", "place"])
def test_an_unusable_environment_that_make_created_is_recreated(
    root: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr("dependencies.install.MAKE_ENVIRONMENT", (sys.executable, "-m", "venv", "--without-pip"))
    monkeypatch.setattr(Checkout, "_uv", given_uv)

    # given an environment that make created, whose Python is gone or which was moved here
    make_environment(root / ".venv")
    (root / ".venv" / "made-by-make").write_text(str(root / ".venv") if broken == "python" else "/somewhere/else")
    (root / ".venv" / "bin" / "precious").touch()
    if broken == "python":
        (root / ".venv" / "bin" / "python").unlink()

    # when the checkout is set up
    Checkout(root).set_up()

    # then
    assert installed_in(root / ".venv") == {"greeting", "our_constructs"}
    assert not (root / ".venv" / "bin" / "precious").exists()


def test_a_link_to_another_checkout_s_environment_is_never_recreated(root: Path, tmp_path: Path) -> None:
    other = make_environment(tmp_path / "other")
    (other / "made-by-make").write_text(str(other))
    (root / ".venv").symlink_to(other)

    Checkout(root).set_up()

    assert installed_in(other) == {"greeting", "our_constructs", "theirs"}


def test_missing_files_are_reported_and_restored(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a set-up checkout in which a module and the server's binary have been deleted
    make_environment(root / ".venv")
    Checkout(root).set_up()
    module = site_packages(root / ".venv") / "greeting" / "__init__.py"
    binary = root / "node_modules" / SERVER / "bin" / "restate-server"
    module.unlink()
    binary.unlink()
    capsys.readouterr()

    # when it is set up again
    Checkout(root).set_up()

    # then
    assert module.exists() and binary.exists()
    said = capsys.readouterr().out
    assert "Reinstalling packages with missing files: greeting\n" in said
    assert f"Missing, or not as pinned: {SERVER}\n" in said


def test_an_uninstalled_package_is_reported_and_restored(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a set-up checkout without warnings, from which a package is then uninstalled
    make_environment(root / ".venv")
    Checkout(root).set_up()
    assert "Missing" not in capsys.readouterr().out
    for path in site_packages(root / ".venv").glob("greeting*"):
        shutil.rmtree(path)

    # when it is set up again
    Checkout(root).set_up()

    # then
    assert installed_in(root / ".venv") == {"greeting", "our_constructs", "theirs"}
    assert "Missing, or at another version: greeting==1\n" in capsys.readouterr().out


def test_a_package_that_npm_leaves_out_is_an_error_that_names_it(root: Path) -> None:
    # given a lock file with a package that this npm does not install
    make_environment(root / ".venv")
    lock = json.loads((root / "package-lock.json").read_text())
    lock["packages"]["node_modules/left-out"] = {"version": "1"}
    (root / "package-lock.json").write_text(json.dumps(lock))

    # when the checkout is set up
    with pytest.raises(SetupError, match=r"^npm left these out: left-out\. Its log is "):
        Checkout(root).set_up()

    # then the next command runs set-up again
    assert not (root / ".venv" / "ready").exists()


def test_a_link_to_another_checkout_s_node_modules_is_not_emptied(root: Path, tmp_path: Path) -> None:
    make_environment(root / ".venv")
    (tmp_path / "theirs").mkdir()
    (root / "node_modules").symlink_to(tmp_path / "theirs")

    with pytest.raises(SetupError, match=f"^node_modules is a link to .*/theirs, which lacks {SERVER}, aws-cdk: "):
        Checkout(root).set_up()


def test_a_failed_installation_is_reported_with_its_log(root: Path, tmp_path: Path) -> None:
    make_environment(root / ".venv")
    shutil.rmtree(tmp_path / "shelf")

    with pytest.raises(SetupError, match=r"The Python packages could not be installed\. The log is .*setup\.log$"):
        Checkout(root).set_up()


def test_two_set_ups_do_not_run_at_once(root: Path) -> None:
    (root / ".local").mkdir()
    with (root / ".local" / "setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(SetupError, match=r"^Another set-up is running here"):
            Checkout(root).set_up()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("*", "{python} not found: install Python 3.11 or newer, or name one: make PYTHON=python3.12 setup"),
        ("*version_info*", "{python} is older than Python 3.11: name a newer one: make PYTHON=python3.12 setup"),
        ("*ensurepip*", "{python} cannot create virtual environments: install its venv package (Debian, Ubuntu: apt "),
    ],
)
def test_an_unsuitable_python_is_reported_in_one_sentence(root: Path, missing: str, said: str) -> None:
    # given a Python that fails this check, in a checkout with our Makefile
    shutil.copy(Path(__file__).parents[3] / "Makefile", root)
    python = root.parent / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in {missing}) exit 1 ;; esac\n')
    python.chmod(0o755)

    # when it is used for set-up
    command = ["make", "--no-print-directory", "setup", f"PYTHON={python}"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    # then
    assert run.returncode == 2
    assert run.stdout.startswith(said.format(python=python)) and run.stdout.count("\n") == 1
    assert not (root / ".venv").exists()


def test_packages_that_share_a_file_are_complete_with_either_version_of_it(tmp_path: Path) -> None:
    # given two packages with a file of the same name and different sizes, the second one installed last
    (tmp_path / "shared.py").write_text("12")
    for name, size in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info" / "RECORD").write_text(f"shared.py,,{size}\n")
    (tmp_path / "requirements.txt").write_text("one==1\nTwo==1\n")

    assert damaged_python_packages(tmp_path, [tmp_path / "requirements.txt"]) == []

    # when the file is truncated
    (tmp_path / "shared.py").write_text("")
    assert damaged_python_packages(tmp_path, [tmp_path / "requirements.txt"]) == ["one", "two"]
