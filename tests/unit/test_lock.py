"""Everything is pinned, and `make lock` and `make update` request and report the right things or change nothing."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dependencies import lock
from dependencies.missing import PIN, local_packages, normal

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def pinned_files(tmp_path: Path) -> Path:
    """A copy of all files that pin something."""
    for name in (*lock.FILES, ".npmrc", *(f"{local}/pyproject.toml" for local in local_packages(ROOT))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in lock.FILES}


def write_other_requirements(root: Path, _update: bool) -> None:
    (root / "requirements.txt").write_text("anyio==99\n")


def named_in(group: str) -> Iterator[str]:
    """The requirements of a dependency group and the groups that it includes; "" is the app itself."""
    for each in PYPROJECT["dependency-groups"][group] if group else PYPROJECT["project"]["dependencies"]:
        yield from [each] if isinstance(each, str) else named_in(each["include-group"])


def pins_of(file: str) -> dict[str, str]:
    return {normal(pin[1]): pin[2] for pin in PIN.finditer((ROOT / file).read_text())}


def test_an_update_stays_within_the_major_version_and_never_downgrades() -> None:
    text = '# a comment==1\nd = ["boto3-stubs[sns,sqs]==1.43.106", "msgspec==0.22.0"]\nrequires-python = ">=3.11"\n'

    assert lock.newer(text) == (
        '# a comment==1\nd = ["boto3-stubs[sns,sqs]>=1.43.106,<2", "msgspec>=0.22.0,<1"]\nrequires-python = ">=3.11"\n'
    )


def test_changes_are_listed_one_per_line_from_old_to_new() -> None:
    before = {"same": "1", "raised": "1.2", "gone": "3"}

    assert lock.changes(before, {"same": "1", "raised": "1.10", "new": "4"}) == [
        "gone 3 → (none)",
        "new (none) → 4",
        "raised 1.2 → 1.10",
    ]


@pytest.mark.parametrize("update", [False, True])
def test_a_failed_lock_or_update_says_so_and_changes_nothing(
    pinned_files: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, update: bool
) -> None:
    # given a uv that finds no packages
    before = contents(pinned_files)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("empty")))

    # when
    with pytest.raises(lock.LockError, match=r"^uv failed, so nothing was changed: error: .*") as error:
        lock.lock(pinned_files, update=update)

    # then
    assert "\n" not in str(error.value)
    assert contents(pinned_files) == before
    assert not any((pinned_files / ".local").iterdir())


def test_an_update_that_fails_at_the_end_changes_nothing_either(
    pinned_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a Python part that succeeds with other versions, and an npm registry that is down
    before = contents(pinned_files)
    monkeypatch.setattr(lock, "_lock_python", write_other_requirements)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")

    # when
    with pytest.raises(lock.LockError, match=r"^npm failed, so nothing was changed: npm error"):
        lock.lock(pinned_files, update=True)

    # then
    assert contents(pinned_files) == before


def test_a_missing_hash_of_another_platform_s_wheel_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an index with a wheel for each of two machines, and a file with the first one's hash only
    index = tmp_path / "index" / "greeting"
    index.mkdir(parents=True)
    names = [f"greeting-1-cp312-cp312-manylinux_2_28_{cpu}.whl" for cpu in ("x86_64", "aarch64")]
    for name in names:
        with zipfile.ZipFile(index / name, "w") as wheel:
            tag = f"Tag: {name.removesuffix('.whl').partition('-1-')[2]}\n"
            wheel.writestr("greeting-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
            wheel.writestr("greeting-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tag}")
            wheel.writestr("greeting-1.dist-info/RECORD", "")
    (index / "index.html").write_text("".join(f'<a href="{name}">{name}</a>' for name in names))
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.parent.as_uri())
    sha256 = hashlib.sha256((index / names[0]).read_bytes()).hexdigest()
    (tmp_path / "pins.txt").write_text(f"greeting==1 --hash=sha256:{sha256}\n")

    # then the file is complete for the first machine and not for the second
    lock.check(tmp_path, "pins.txt", "x86_64-manylinux_2_28", "3.12")
    with pytest.raises(lock.LockError, match=r"^uv failed, so nothing was changed: error: .*greeting"):
        lock.check(tmp_path, "pins.txt", "aarch64-manylinux_2_28", "3.12")


@pytest.mark.parametrize(
    ("file", "groups"),
    [
        ("requirements.txt", [""]),
        ("requirements-dev.txt", ["", "dev"]),
        ("requirements-bench.txt", ["bench"]),
        ("lambdas/requirements.txt", ["lambda"]),
    ],
)
def test_the_requirements_files_match_pyproject_with_hashes_and_without_an_index(file: str, groups: list[str]) -> None:
    named = {
        normal(re.split(r"[\[=]", each)[0]): each.partition("==")[2]
        for group in groups
        for each in named_in(group)
        if each not in PYPROJECT["tool"]["uv"]["sources"]
    }
    text = (ROOT / file).read_text()

    assert all(named.values())
    assert {name: version for name, version in pins_of(file).items() if name in named} == named
    assert all("--hash=sha256:" in text[pin.end() :].partition("\n    # via")[0] for pin in PIN.finditer(text))
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host", text)


def test_what_lambda_runs_is_the_same_everywhere_and_what_the_tests_run_on() -> None:
    pins = pins_of("lambdas/requirements.txt")

    assert pins.items() <= pins_of("requirements-dev.txt").items()
    assert all(importlib.metadata.version(name) == version for name, version in pins.items())


def test_the_requirements_for_deploying_are_a_subset_of_those_for_developing() -> None:
    assert pins_of("requirements.txt").items() < pins_of("requirements-dev.txt").items()
    assert not pins_of("requirements.txt").keys() & {"pytest", "ministack", "restate-sdk", "boto3"}


def test_uv_s_lock_file_is_not_committed() -> None:
    """It records the URLs of the packages."""
    assert "/uv.lock" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_npm_lock_file_covers_four_platforms_and_has_no_urls() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    for tool in ("restate", "restate-server"):
        machines = {path.partition(f"/@restatedev/{tool}-")[2] for path in packages} - {""}
        assert {"linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"} <= machines
    assert not [path for path, about in packages.items() if "resolved" in about]
    assert all("integrity" in about for path, about in packages.items() if path)
    assert [path for path, about in packages.items() if path and not about.get("dev")] == ["node_modules/aws-cdk"]
