"""Lambda packages: what is in them, and that they depend on what goes in and on nothing else."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from holiday_stack import bundling
from holiday_stack.bundling import package
from holiday_stack.libraries import EACH_LAMBDA, HOST, LAMBDA, LAMBDAS, ROOT, TARGETS, BundlingError, Target, fetch

NOWHERE = Target("nowhere", ("--no-index",))
EM_X86_64, EM_AARCH64 = 62, 183


@pytest.fixture
def lambdas(tmp_path: Path) -> Path:
    """The sources of one small function, with leftovers that do not belong into a package."""
    folder = tmp_path / "lambdas"
    (folder / "greet" / "__pycache__").mkdir(parents=True)
    (folder / "greet" / "hello.py").write_text("print('hello')\n")
    (folder / "greet" / "local.py").write_text("print('only on a laptop')\n")
    (folder / "greet" / "__pycache__" / "hello.cpython-311.pyc").write_bytes(b"bytecode")
    return folder


@pytest.fixture
def target(tmp_path: Path, lambdas: Path) -> Target:
    """One for which uv finds the library that the function requires on a shelf."""
    return shelve(tmp_path / "shelf", lambdas, {"greeting/__init__.py": "", "greeting/native.so": ""})


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local"


def shelve(shelf: Path, lambdas: Path, files: Mapping[str, bytes | str]) -> Target:
    """Put a library on a shelf, have the function require it, and return the target that takes it from there.

    files: what the library holds, by path.
    """
    shelf.mkdir(exist_ok=True)
    info = "greeting-1.dist-info"
    metadata = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(shelf / "greeting-1-py3-none-any.whl", "w") as wheel:
        for name, content in {**files, **metadata}.items():
            wheel.writestr(zipfile.ZipInfo(name), content)  # whose date is always the same
    require(lambdas, shelf)
    return Target("shelf", ("--no-index", f"--find-links={shelf}"))


def require(lambdas: Path, shelf: Path, pin: str = "greeting==1 --hash=sha256:{hash}") -> None:
    content = next(shelf.glob("*.whl")).read_bytes()
    hashes = {"hash": hashlib.sha256(content).hexdigest(), "other": hashlib.sha256(content + b"!").hexdigest()}
    (lambdas / "requirements.txt").write_text(pin.format(**hashes) + "\n")


def machine_code(machine: int) -> bytes:
    """The beginning of an ELF file: 64 bits, little-endian, a shared object for this CPU."""
    return b"\x7fELF\2\1\1" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little")


def contents(built: Path) -> dict[str, str]:
    return {str(path.relative_to(built)): oct(path.stat().st_mode)[-3:] for path in built.rglob("*") if path.is_file()}


def test_a_package_holds_the_sources_in_their_folder_beside_the_libraries(
    lambdas: Path, target: Target, local: Path
) -> None:
    built = package("greet", target, lambdas=lambdas, local=local)

    assert set(contents(built)) == {
        "greet/hello.py",
        "greeting/__init__.py",
        "greeting/native.so",
        "greeting-1.dist-info/METADATA",
    }


def test_what_no_function_uses_is_left_out_and_what_licences_and_scanners_need_is_kept(
    lambdas: Path, tmp_path: Path
) -> None:
    # given a library with all that wheels bring along
    info = "greeting-1.dist-info"
    dropped = [f"{info}/sboms/core.cyclonedx.json", "greeting/py.typed", "greeting/__init__.pyi"]
    dropped += ["greeting/tests/test_it.py", "greeting/__pycache__/__init__.cpython-313.pyc"]
    kept = [f"{info}/licenses/LICENSE", f"{info}/LICENSE.txt", f"{info}/NOTICE", "greeting/data.json", "greeting.py"]
    kept += ["greeting/testing.py", "greeting/tests.py", "greeting/bin/tool.py"]
    target = shelve(tmp_path / "shelf", lambdas, dict.fromkeys([*dropped, *kept], ""))

    # when it is packaged
    files = set(contents(package("greet", target, lambdas=lambdas, local=tmp_path)))

    # then that is all that is in there
    assert files == {*kept, "greet/hello.py", f"{info}/METADATA"}


def test_nothing_that_uv_writes_of_this_machine_is_in_a_package(lambdas: Path, tmp_path: Path) -> None:
    # given a library with a script, whose first line names the interpreter that it is installed for
    script = {"greeting.py": "", "greeting-1.dist-info/entry_points.txt": "[console_scripts]\ngreet = greeting:main\n"}
    target = shelve(tmp_path / "shelf", lambdas, script)

    # when it is packaged in two places, for two interpreters
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

    # then uv has written two scripts, and the packages are the same
    scripts = [
        tmp_path / place / "libraries" / "shelf" / "installed" / "bin" / "greet" for place in ("here", "elsewhere")
    ]
    assert scripts[0].read_bytes() != scripts[1].read_bytes()
    assert packages[0].name == packages[1].name
    assert set(contents(packages[0])) == {"greet/hello.py", "greeting.py", "greeting-1.dist-info/METADATA"}
    assert contents(packages[0]) == contents(packages[1])


def test_a_package_without_a_target_holds_the_sources_only(lambdas: Path, local: Path) -> None:
    assert set(contents(package("greet", lambdas=lambdas, local=local))) == {"greet/hello.py"}


def test_the_same_sources_make_the_same_package_wherever_and_whatever_the_umask(
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
    assert contents(strict)["greet/hello.py"] == "644", "Lambda's user has to be able to read it"


def test_sources_that_git_checks_out_with_autocrlf_make_the_same_package(tmp_path: Path) -> None:
    # given a repository with our attributes and sources, and a clone on a machine that asks for Windows' line ends
    repository, clone = tmp_path / "repository", tmp_path / "clone"
    shutil.copytree(LAMBDAS, repository / "lambdas")
    shutil.copy(ROOT / ".gitattributes", repository)
    nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "sources"]):
        subprocess.run(["git", *nobody, *command], cwd=repository, check=True)
    subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", repository, clone], check=True)

    # when both are packaged
    packages = [package("holiday", lambdas=path / "lambdas", local=tmp_path) for path in (ROOT, clone)]

    # then they are the same, and what the libraries are pinned by is
    assert packages[0].name == packages[1].name
    for name in ("lambdas/requirements.txt", "lambdas/holiday/trips.py"):
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()


def test_another_source_or_another_library_makes_another_package(lambdas: Path, target: Target, local: Path) -> None:
    first = package("greet", target, lambdas=lambdas, local=local)

    (lambdas / "greet" / "hello.py").write_text("print('good day')\n")
    second = package("greet", target, lambdas=lambdas, local=local)
    target = shelve(local / "shelf", lambdas, {"greeting/__init__.py": "", "greeting/more.py": ""})
    third = package("greet", target, lambdas=lambdas, local=local)

    assert len({first.name, second.name, third.name}) == 3


def test_another_way_to_build_makes_another_package(
    lambdas: Path, target: Target, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = package("greet", target, lambdas=lambdas, local=local)
    (tmp_path / "bundling.py").write_text("# leaves other files out\n")
    monkeypatch.setattr(bundling, "__file__", str(tmp_path / "bundling.py"))

    assert package("greet", target, lambdas=lambdas, local=local).name != first.name


def test_a_package_that_is_there_is_not_built_again(lambdas: Path, target: Target, local: Path) -> None:
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


def test_libraries_that_are_there_take_neither_uv_nor_a_network(
    lambdas: Path, target: Target, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = fetch(target, lambdas, local)
    monkeypatch.delattr(subprocess, "run")

    assert fetch(target, lambdas, local) == fetched == local / "libraries" / "shelf" / "installed"


def test_libraries_that_uv_has_in_its_cache_take_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given what Lambda runs, installed once, and then a network that leads nowhere
    fetch(LAMBDA, local=tmp_path / "with")
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")

    # when it is installed elsewhere
    package("holiday", LAMBDA, local=tmp_path / "without")

    # then it is the same
    installed = [tmp_path / place / "libraries" / LAMBDA.name / "installed" for place in ("with", "without")]
    assert contents(installed[0]) == contents(installed[1])


def test_libraries_that_were_changed_since_are_not_used(lambdas: Path, target: Target, local: Path) -> None:
    # given libraries that are there, and cannot be fetched again
    installed = fetch(target, lambdas, local)
    shutil.rmtree(local.parent / "shelf")
    assert fetch(target, lambdas, local) == installed

    # when one of them is changed
    (installed / "greeting" / "__init__.py").write_text("print('!')\n")

    # then they have to be fetched again
    with pytest.raises(BundlingError, match="Cannot fetch the libraries for shelf"):
        fetch(target, lambdas, local)


def test_other_requirements_are_fetched_anew(lambdas: Path, target: Target, local: Path) -> None:
    assert list(fetch(target, lambdas, local).glob("greeting*"))
    (lambdas / "requirements.txt").write_text("")

    assert not list(fetch(target, lambdas, local).glob("greeting*"))


def test_libraries_that_cannot_be_fetched_are_one_sentence_and_leave_nothing(
    lambdas: Path, target: Target, tmp_path: Path
) -> None:
    with pytest.raises(BundlingError, match=r"Cannot fetch the libraries for nowhere: .* Try `python -m") as error:
        fetch(replace(target, name="nowhere", uv_options=NOWHERE.uv_options), lambdas, tmp_path)

    assert "\n" not in str(error.value)
    assert not any((tmp_path / "libraries").iterdir())


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("greeting==1 --hash=sha256:{hash}", None),
        ("greeting==1 --hash=sha256:{other}", r"^greeting==1 for shelf has none of the hashes in .*requirements\.txt,"),
        ("greeting==1", r"requirements\.txt names something without its version and hash: run `make lock`\."),
        ("greeting>=1", r"requirements\.txt names something without its version and hash: run `make lock`\."),
    ],
    ids=["as pinned", "another hash", "no hash", "no version"],
)
def test_only_libraries_with_the_pinned_hash_are_taken(
    lambdas: Path, target: Target, tmp_path: Path, pin: str, said: str | None
) -> None:
    require(lambdas, tmp_path / "shelf", pin)

    # then it is installed, or one sentence says why not and nothing is left
    if said is None:
        assert (fetch(target, lambdas, tmp_path) / "greeting" / "__init__.py").exists()
    else:
        with pytest.raises(BundlingError, match=said) as error:
            fetch(target, lambdas, tmp_path)
        assert "\n" not in str(error.value)
        assert not any((tmp_path / "libraries").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("_core.cpython-313-aarch64-linux-gnu.so", machine_code(EM_AARCH64), None),
        ("_core.abi3.so", machine_code(EM_AARCH64), None),
        ("_core.cpython-313-aarch64-linux-gnu.so", machine_code(EM_X86_64), "_core.* is not machine code for aarch64,"),
        ("_core.cpython-313-aarch64-linux-gnu.so", b"not ELF at all", "_core.* is not machine code for aarch64,"),
        (
            "_core.cpython-312-aarch64-linux-gnu.so",
            machine_code(EM_AARCH64),
            "is for cpython-312-aarch64-linux-gnu, not",
        ),
        ("_core.cpython-313-x86_64-linux-gnu.so", machine_code(EM_AARCH64), "is for cpython-313-x86_64-linux-gnu, not"),
        ("_core.cpython-313-darwin.so", machine_code(EM_AARCH64), "is for cpython-313-darwin, not cpython-313-aarch64"),
    ],
    ids=["as it should be", "any Python", "another CPU", "no ELF", "another Python", "misnamed", "another system"],
)
def test_a_native_module_for_something_else_is_refused(
    lambdas: Path, tmp_path: Path, name: str, content: bytes, said: str | None
) -> None:
    shelf = shelve(tmp_path / "shelf", lambdas, {f"greeting/{name}": content})
    target = replace(LAMBDA, uv_options=shelf.uv_options)

    if said is None:
        assert package("greet", target, lambdas=lambdas, local=tmp_path)
        return
    for _attempt in ("built", "built before"):
        with pytest.raises(BundlingError, match=said) as error:
            package("greet", target, lambdas=lambdas, local=tmp_path)
        assert "\n" not in str(error.value)
        assert "lambda-3.13 could not load it: delete .local/libraries and .local/packages" in str(error.value)


@pytest.mark.parametrize("target", EACH_LAMBDA, ids=lambda target: target.name)
def test_the_package_for_each_runtime_and_cpu_is_for_it_and_small(tmp_path: Path, target: Target) -> None:
    built = package("holiday", target, local=tmp_path)

    # every native module is for this Python, and as far as its header says for this CPU
    native = list(built.rglob("*.so"))
    cpu = EM_X86_64 if target.name.endswith("x86_64") else EM_AARCH64
    assert native and all(path.name.endswith(f".{target.abi}.so") for path in native)
    assert {int.from_bytes(path.read_bytes()[18:20], "little") for path in native} == {cpu}
    assert zipped_size(built) < 6_000_000
    assert not [path for path in contents(built) if re.search(r"boto|\.pyc$|\.pyi$|^holiday/local\.py$", path)]


def test_the_package_for_this_machine_can_be_imported_alone() -> None:
    built = package("holiday", HOST)

    run = subprocess.run(
        [sys.executable, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(built)!r}); import restate, msgspec"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr


def test_an_unknown_target_is_one_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "holiday_stack.libraries", "moon"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert (run.returncode, run.stderr) == (1, f"moon is not a target: must be one of {', '.join(TARGETS)}\n")


def zipped_size(directory: Path) -> int:
    archive = directory.parent / "size.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for path in directory.rglob("*"):
                target.write(path, path.relative_to(directory))
        return archive.stat().st_size
    finally:
        archive.unlink()
