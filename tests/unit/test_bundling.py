"""Lambda packages: what is in them, and that they depend on what goes in and on nothing else."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from holiday_stack import bundling
from holiday_stack.bundling import HOST, LAMBDA, PYTHONS, TARGETS, BundlingError, Target, fetch_wheels, package

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
    (folder / "requirements.txt").write_text("wheel-in-cache==1\n")
    return folder


@pytest.fixture
def local(tmp_path: Path, lambdas: Path) -> Path:
    """A place where the wheels for the host are already."""
    return with_wheels(tmp_path / "local", lambdas)


def with_wheels(
    local: Path, lambdas: Path, target: Target = HOST, files: Mapping[str, bytes | str] | None = None
) -> Path:
    """files: what the wheel holds besides, by path."""
    wheels = local / "wheels" / target.name
    wheels.mkdir(parents=True)
    with zipfile.ZipFile(wheels / "wheel_in_cache-1-py3-none-any.whl", "w") as wheel:
        module = {"wheel_in_cache/__init__.py": "", "wheel_in_cache/native.so": machine_code(EM_AARCH64)}
        for name, content in {**module, "wheel_in_cache-1.dist-info/METADATA": "", **(files or {})}.items():
            wheel.writestr(zipfile.ZipInfo(name), content)  # whose date is always the same
    pin(lambdas, wheels, target)
    return local


def pin(lambdas: Path, wheels: Path, target: Target = HOST) -> None:
    """Have these wheels be the ones that the requirements name, and that were fetched for them."""
    hashes = [f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels.glob("*.whl")]
    (lambdas / "requirements.txt").write_text(f"wheel-in-cache==1 {' '.join(hashes)}\n")
    (wheels / "requirements.txt").write_text(bundling.stamp_of(target, lambdas))


def machine_code(machine: int) -> bytes:
    """The beginning of an ELF file: 64 bits, little-endian, a shared object for this CPU."""
    return b"\x7fELF\2\1\1" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little")


def contents(built: Path) -> dict[str, str]:
    return {str(path.relative_to(built)): oct(path.stat().st_mode)[-3:] for path in built.rglob("*") if path.is_file()}


def test_a_package_holds_the_sources_in_their_folder_beside_the_unpacked_wheels(lambdas: Path, local: Path) -> None:
    built = package("greet", HOST, lambdas=lambdas, local=local)

    assert set(contents(built)) == {
        "greet/hello.py",
        "wheel_in_cache/__init__.py",
        "wheel_in_cache/native.so",
        "wheel_in_cache-1.dist-info/METADATA",
    }


def test_what_no_function_uses_is_left_out_and_what_licences_and_scanners_need_is_kept(
    lambdas: Path, tmp_path: Path
) -> None:
    # given a wheel with all that wheels bring along
    info = "wheel_in_cache-1.dist-info"
    unused = ["RECORD", "WHEEL", "entry_points.txt", "sboms/core.cyclonedx.json"]
    dropped = [f"{info}/{name}" for name in unused]
    dropped += ["wheel_in_cache/py.typed", "wheel_in_cache/__init__.pyi", "wheel_in_cache/tests/test_it.py"]
    dropped += ["wheel_in_cache/__pycache__/__init__.cpython-313.pyc"]
    kept = [f"{info}/licenses/LICENSE", f"{info}/LICENSE.txt", f"{info}/NOTICE", "wheel_in_cache/data.json"]
    kept += ["wheel_in_cache/testing.py", "wheel_in_cache/tests.py"]
    local = with_wheels(tmp_path / "local", lambdas, files=dict.fromkeys([*dropped, *kept], ""))

    # when it is packaged
    files = set(contents(package("greet", HOST, lambdas=lambdas, local=local)))

    # then
    assert not files & set(dropped)
    assert set(kept) <= files


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
    pin(lambdas, local / "wheels" / "host")
    third = package("greet", HOST, lambdas=lambdas, local=local)

    assert len({first.name, second.name, third.name}) == 3


def test_another_way_to_build_makes_another_package(
    lambdas: Path, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = package("greet", HOST, lambdas=lambdas, local=local)
    (tmp_path / "bundling.py").write_text("# leaves other files out\n")
    monkeypatch.setattr(bundling, "__file__", str(tmp_path / "bundling.py"))

    assert package("greet", HOST, lambdas=lambdas, local=local).name != first.name


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


def test_wheels_that_were_changed_since_are_not_used(lambdas: Path, tmp_path: Path) -> None:
    # given wheels that are there, for a target for which none can be fetched
    wheels = with_wheels(tmp_path / "local", lambdas, NOWHERE) / "wheels" / "nowhere"
    assert fetch_wheels(NOWHERE, lambdas, tmp_path / "local") == wheels

    # when one of them is changed
    with next(wheels.glob("*.whl")).open("ab") as wheel:
        wheel.write(b"!")

    # then they have to be fetched anew
    with pytest.raises(BundlingError, match="Cannot fetch the wheels for nowhere"):
        fetch_wheels(NOWHERE, lambdas, tmp_path / "local")


def test_other_requirements_are_fetched_anew(lambdas: Path, local: Path) -> None:
    (lambdas / "requirements.txt").write_text("")

    wheels = fetch_wheels(HOST, lambdas, local)

    assert not list(wheels.glob("*.whl"))


def test_wheels_that_cannot_be_fetched_are_one_sentence_and_leave_nothing(lambdas: Path, tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match=r"Cannot fetch the wheels for nowhere: ERROR: .* Try `python -m") as error:
        fetch_wheels(NOWHERE, lambdas, tmp_path)

    assert "\n" not in str(error.value)
    assert not any((tmp_path / "wheels").iterdir())


def wheelhouse(folder: Path) -> Path:
    """A directory with one wheel that pip accepts."""
    folder.mkdir()
    info = "greeting-1.dist-info"
    with zipfile.ZipFile(folder / "greeting-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("greeting==1 --hash=sha256:{hash}", None),
        ("greeting==1 --hash=sha256:{other}", r"^greeting==1 for shelf has none of the hashes in .*requirements\.txt,"),
        ("greeting==1", r"requirements\.txt names something without its version and hash: run `make update`\."),
        ("greeting>=1", r"requirements\.txt names something without its version and hash: run `make update`\."),
    ],
    ids=["as pinned", "another hash", "no hash", "no version"],
)
def test_only_wheels_with_the_pinned_hash_are_taken(lambdas: Path, tmp_path: Path, pin: str, said: str | None) -> None:
    # given a shelf of wheels, and requirements
    shelf = wheelhouse(tmp_path / "shelf")
    target = Target("shelf", ("--no-index", "--find-links", str(shelf)))
    content = next(shelf.iterdir()).read_bytes()
    hashes = {"hash": hashlib.sha256(content).hexdigest(), "other": hashlib.sha256(content + b"!").hexdigest()}
    (lambdas / "requirements.txt").write_text(pin.format(**hashes))

    # then the wheel is fetched, or one sentence says why not and nothing is left
    if said is None:
        assert [wheel.name for wheel in fetch_wheels(target, lambdas, tmp_path).glob("*.whl")] == [
            "greeting-1-py3-none-any.whl"
        ]
    else:
        with pytest.raises(BundlingError, match=said) as error:
            fetch_wheels(target, lambdas, tmp_path)
        assert "\n" not in str(error.value)
        assert not any((tmp_path / "wheels").iterdir())


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
    local = with_wheels(tmp_path / "local", lambdas, LAMBDA, {f"wheel_in_cache/{name}": content})

    if said is None:
        assert package("greet", LAMBDA, lambdas=lambdas, local=local)
        return
    for _attempt in ("built", "built before"):
        with pytest.raises(BundlingError, match=said) as error:
            package("greet", LAMBDA, lambdas=lambdas, local=local)
        assert "\n" not in str(error.value)
        assert "lambda-3.13 could not load it: delete .local/wheels and .local/packages" in str(error.value)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_package_for_each_runtime_is_for_it_and_for_arm_and_small(tmp_path: Path, python: str) -> None:
    # given the wheels that were fetched for it
    target = TARGETS[f"lambda-{python}"]
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / target.name).symlink_to(fetch_wheels(target))

    # when it is packaged
    built = package("holiday", target, local=tmp_path)

    # then
    native = [path.name for path in built.rglob("*.so")]
    suffix = f".cpython-{python.replace('.', '')}-aarch64-linux-gnu.so"
    assert native and all(name.endswith(suffix) for name in native)
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
        [sys.executable, "-m", "holiday_stack.bundling", "moon"],
        check=False,
        capture_output=True,
        text=True,
        cwd=bundling.ROOT,
    )

    assert (run.returncode, run.stderr) == (1, f"moon is not a target: choose of {', '.join(TARGETS)}\n")


def zipped_size(directory: Path) -> int:
    archive = directory.parent / "size.zip"
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for path in directory.rglob("*"):
                target.write(path, path.relative_to(directory))
        return archive.stat().st_size
    finally:
        archive.unlink()
