"""Lambda packages: what is in them, and that they depend on what goes in and on nothing else."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from holiday_stack import bundling
from holiday_stack.bundling import HOST, LAMBDA, BundlingError, Target, fetch_wheels, package

NOWHERE = Target("nowhere", ("--no-index",))


@pytest.fixture
def lambdas(tmp_path: Path) -> Path:
    """The sources of one small function, with leftovers that do not belong into a package."""
    folder = tmp_path / "lambdas"
    (folder / "greet" / "__pycache__").mkdir(parents=True)
    (folder / "greet" / "hello.py").write_text("print('hello')\n")
    (folder / "greet" / "__pycache__" / "hello.cpython-311.pyc").write_bytes(b"bytecode")
    (folder / "requirements.txt").write_text("wheel-in-cache==1\n")
    return folder


@pytest.fixture
def local(tmp_path: Path, lambdas: Path) -> Path:
    """A place where the wheels for the host are already."""
    return with_wheels(tmp_path / "local", lambdas)


def with_wheels(local: Path, lambdas: Path) -> Path:
    wheels = local / "wheels" / "host"
    wheels.mkdir(parents=True)
    with zipfile.ZipFile(wheels / "wheel_in_cache-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("wheel_in_cache/__init__.py", "")
        wheel.writestr("wheel_in_cache/native.so", "machine code")
    (wheels / "requirements.txt").write_text(bundling.stamp_of(HOST, lambdas))
    return local


def contents(built: Path) -> dict[str, str]:
    return {str(path.relative_to(built)): oct(path.stat().st_mode)[-3:] for path in built.rglob("*") if path.is_file()}


def test_a_package_holds_the_sources_in_their_folder_beside_the_unpacked_wheels(lambdas: Path, local: Path) -> None:
    built = package("greet", HOST, lambdas=lambdas, local=local)

    assert set(contents(built)) == {"greet/hello.py", "wheel_in_cache/__init__.py", "wheel_in_cache/native.so"}


def test_a_package_without_a_target_holds_the_sources_only(lambdas: Path, local: Path) -> None:
    assert set(contents(package("greet", lambdas=lambdas, local=local))) == {"greet/hello.py"}


def test_the_same_sources_make_the_same_package_wherever_and_whatever_the_umask(lambdas: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        strict = package("greet", HOST, lambdas=lambdas, local=with_wheels(tmp_path / "elsewhere", lambdas))
        os.umask(0o000)
        open_to_all = package("greet", HOST, lambdas=lambdas, local=with_wheels(tmp_path / "here", lambdas))
    finally:
        os.umask(before)

    assert strict.name == open_to_all.name
    assert contents(strict) == contents(open_to_all)
    assert contents(strict)["greet/hello.py"] == "644", "Lambda's user has to be able to read it"


def test_another_source_or_another_wheel_makes_another_package(lambdas: Path, local: Path) -> None:
    first = package("greet", HOST, lambdas=lambdas, local=local)

    (lambdas / "greet" / "hello.py").write_text("print('good day')\n")
    second = package("greet", HOST, lambdas=lambdas, local=local)
    (local / "wheels" / "host" / "another-1-py3-none-any.whl").write_bytes(b"PK\5\6" + bytes(18))
    third = package("greet", HOST, lambdas=lambdas, local=local)

    assert len({first.name, second.name, third.name}) == 3


def test_a_package_that_is_there_is_not_built_again(lambdas: Path, local: Path) -> None:
    built = package("greet", HOST, lambdas=lambdas, local=local)
    (built / "mark").touch()

    assert (package("greet", HOST, lambdas=lambdas, local=local) / "mark").exists()


def test_only_the_latest_packages_are_kept(lambdas: Path, local: Path) -> None:
    built: list[Path] = []
    for number in range(bundling.PACKAGES_KEPT + 2):
        (lambdas / "greet" / "hello.py").write_text(f"print({number})\n")
        built.append(package("greet", HOST, lambdas=lambdas, local=local))

    assert len(list((local / "packages").iterdir())) == bundling.PACKAGES_KEPT
    assert built[-1].exists()


def test_wheels_that_are_there_take_no_network(lambdas: Path, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(subprocess, "run")

    assert fetch_wheels(HOST, lambdas, local) == local / "wheels" / "host"


def test_other_requirements_are_fetched_anew(lambdas: Path, local: Path) -> None:
    (lambdas / "requirements.txt").write_text("")

    wheels = fetch_wheels(HOST, lambdas, local)

    assert not list(wheels.glob("*.whl"))


def test_wheels_that_cannot_be_fetched_are_one_sentence_and_leave_nothing(lambdas: Path, tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match=r"Cannot fetch the wheels for nowhere: ERROR: .* Try `python -m") as error:
        fetch_wheels(NOWHERE, lambdas, tmp_path)

    assert "\n" not in str(error.value)
    assert not any((tmp_path / "wheels").iterdir())


def test_the_package_for_lambda_is_for_arm_and_small() -> None:
    built = package("holiday", LAMBDA)

    native = [path.name for path in built.rglob("*.so")]
    assert native and all(name.endswith(".cpython-313-aarch64-linux-gnu.so") for name in native)
    assert zipped_size(built) < 6_000_000


def test_the_package_for_this_machine_can_be_imported_alone() -> None:
    built = package("holiday", HOST)

    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(built)!r}); import restate, msgspec"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr


def test_an_unknown_target_is_one_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "holiday_stack.bundling", "moon"],
        check=False,
        capture_output=True,
        text=True,
        cwd=bundling.ROOT,
    )

    assert (run.returncode, run.stderr) == (1, "moon is not a target: choose of lambda, host\n")


def zipped_size(directory: Path) -> int:
    archive = directory.parent / "size.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for path in directory.rglob("*"):
                target.write(path, path.relative_to(directory))
        return archive.stat().st_size
    finally:
        archive.unlink()
