"""Lambda packages: what is in them, and that they depend on nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holiday_stack import bundling
from holiday_stack.bundling import package
from holiday_stack.libraries import EACH_LAMBDA, HOST, LAMBDAS, ROOT, TARGETS, Target
from tests.unit.bundling.wheels import EM_AARCH64, EM_X86_64, contents, shelve, zipped_size


def test_a_package_has_the_sources_in_their_folder_beside_the_libraries(
    lambdas: Path, target: Target, local: Path
) -> None:
    built = package("greet", target, lambdas=lambdas, local=local)

    assert set(contents(built)) == {
        "greet/hello.py",
        "greeting/__init__.py",
        "greeting/native.so",
        "greeting-1.dist-info/METADATA",
    }


def test_unused_files_are_left_out_and_those_for_licences_and_scanners_are_kept(lambdas: Path, tmp_path: Path) -> None:
    # given a library with everything that wheels may contain
    info = "greeting-1.dist-info"
    dropped = [f"{info}/sboms/core.cyclonedx.json", "greeting/py.typed", "greeting/__init__.pyi"]
    dropped += ["greeting/tests/test_it.py", "greeting/__pycache__/__init__.cpython-313.pyc"]
    kept = [f"{info}/licenses/LICENSE", f"{info}/LICENSE.txt", f"{info}/NOTICE", "greeting/data.json", "greeting.py"]
    kept += ["greeting/testing.py", "greeting/tests.py", "greeting/bin/tool.py"]
    target = shelve(tmp_path / "shelf", lambdas, dict.fromkeys([*dropped, *kept], ""))

    # when it is packaged
    files = set(contents(package("greet", target, lambdas=lambdas, local=tmp_path)))

    # then only these files are in the package
    assert files == {*kept, "greet/hello.py", f"{info}/METADATA"}


def test_a_package_contains_nothing_that_uv_wrote_about_this_machine(lambdas: Path, tmp_path: Path) -> None:
    # given a library with a script, whose first line will name the interpreter
    script = {"greeting.py": "", "greeting-1.dist-info/entry_points.txt": "[console_scripts]\ngreet = greeting:main\n"}
    target = shelve(tmp_path / "shelf", lambdas, script)

    # when it is packaged in two directories, for two interpreters
    packages = [package("greet", target, lambdas=lambdas, local=tmp_path / "here")]
    elsewhere = tmp_path / "elsewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", elsewhere], check=True)
    (elsewhere / "bin" / "uv").symlink_to(Path(sys.executable).parent / "uv")
    call = (
        "from pathlib import Path; from holiday_stack.bundling import Target, package; "
        f"print(package('greet', Target{(target.name, target.uv_options)!r}, lambdas=Path({str(lambdas)!r}), "
        f"local=Path({str(elsewhere)!r})))"
    )
    run = subprocess.run(
        [elsewhere / "bin" / "python", "-c", call], check=True, capture_output=True, text=True, cwd=ROOT
    )
    packages.append(Path(run.stdout.strip()))

    # then the installed scripts differ, and the packages are the same
    scripts = [
        tmp_path / place / "libraries" / "shelf" / "installed" / "bin" / "greet" for place in ("here", "elsewhere")
    ]
    assert scripts[0].read_bytes() != scripts[1].read_bytes()
    assert packages[0].name == packages[1].name
    assert set(contents(packages[0])) == {"greet/hello.py", "greeting.py", "greeting-1.dist-info/METADATA"}
    assert contents(packages[0]) == contents(packages[1])


def test_a_package_without_a_target_has_only_the_sources(lambdas: Path, local: Path) -> None:
    assert set(contents(package("greet", lambdas=lambdas, local=local))) == {"greet/hello.py"}


def test_the_same_sources_make_the_same_package_whatever_the_path_and_umask(
    lambdas: Path, target: Target, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        strict = package("greet", target, lambdas=lambdas, local=tmp_path / "elsewhere")
        os.umask(0o000)
        open_to_all = package("greet", target, lambdas=lambdas, local=tmp_path / "here")
    finally:
        os.umask(before)

    assert strict.name == open_to_all.name
    assert contents(strict) == contents(open_to_all)
    assert contents(strict)["greet/hello.py"] == "644", "Lambda's user must be able to read it"


def test_sources_that_git_checks_out_with_autocrlf_make_the_same_package(tmp_path: Path) -> None:
    # given a repository with our .gitattributes and sources, and a clone on a machine that uses Windows line endings
    repository, clone = tmp_path / "repository", tmp_path / "clone"
    shutil.copytree(LAMBDAS, repository / "lambdas")
    shutil.copy(ROOT / ".gitattributes", repository)
    nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "sources"]):
        subprocess.run(["git", *nobody, *command], cwd=repository, check=True)
    subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", repository, clone], check=True)

    # when both are packaged
    packages = [package("holiday", lambdas=path / "lambdas", local=tmp_path) for path in (ROOT, clone)]

    # then the packages are the same, and so are the requirements
    assert packages[0].name == packages[1].name
    for name in ("lambdas/requirements.txt", "lambdas/holiday/trips.py"):
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()


def test_a_changed_source_or_library_makes_another_package(lambdas: Path, target: Target, local: Path) -> None:
    first = package("greet", target, lambdas=lambdas, local=local)

    (lambdas / "greet" / "hello.py").write_text("print('good day')\n")
    second = package("greet", target, lambdas=lambdas, local=local)
    target = shelve(local / "shelf", lambdas, {"greeting/__init__.py": "", "greeting/more.py": ""})
    third = package("greet", target, lambdas=lambdas, local=local)

    assert len({first.name, second.name, third.name}) == 3


def test_a_change_to_the_build_makes_another_package(
    lambdas: Path, target: Target, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = package("greet", target, lambdas=lambdas, local=local)
    (tmp_path / "bundling.py").write_text("# leaves other files out\n")
    monkeypatch.setattr(bundling, "__file__", str(tmp_path / "bundling.py"))

    assert package("greet", target, lambdas=lambdas, local=local).name != first.name


def test_an_existing_package_is_not_built_again(lambdas: Path, target: Target, local: Path) -> None:
    built = package("greet", target, lambdas=lambdas, local=local)
    (built / "mark").touch()

    assert (package("greet", target, lambdas=lambdas, local=local) / "mark").exists()


def test_only_the_latest_packages_are_kept(lambdas: Path, target: Target, local: Path) -> None:
    built: list[Path] = []
    for number in range(bundling.PACKAGES_KEPT + 2):
        (lambdas / "greet" / "hello.py").write_text(f"print({number})\n")
        built.append(package("greet", target, lambdas=lambdas, local=local))

    assert len(list((local / "packages").iterdir())) == bundling.PACKAGES_KEPT
    assert built[-1].exists()


@pytest.mark.parametrize("target", EACH_LAMBDA, ids=lambda target: target.name)
def test_each_runtime_and_cpu_has_its_own_small_package(tmp_path: Path, target: Target) -> None:
    built = package("holiday", target, local=tmp_path)

    # every native module is for this Python and, according to its header, for this CPU
    native = list(built.rglob("*.so"))
    cpu = EM_X86_64 if target.name.endswith("x86_64") else EM_AARCH64
    assert native and all(path.name.endswith(f".{target.abi}.so") for path in native)
    assert {int.from_bytes(path.read_bytes()[18:20], "little") for path in native} == {cpu}
    assert zipped_size(built) < 6_000_000
    assert not [path for path in contents(built) if re.search(r"boto|\.pyc$|\.pyi$|^holiday/local\.py$", path)]


def test_the_package_for_this_machine_can_be_imported_on_its_own() -> None:
    built = package("holiday", HOST)

    run = subprocess.run(
        [sys.executable, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(built)!r}); import restate, msgspec"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr


def test_an_unknown_target_is_reported_in_one_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "holiday_stack.libraries", "moon"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert (run.returncode, run.stderr) == (1, f"moon is not a target: must be one of {', '.join(TARGETS)}\n")
