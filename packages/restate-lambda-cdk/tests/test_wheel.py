"""The built package, installed with the oldest declared AWS CDK and with the newest, and used there."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dependencies import sources

PACKAGE = Path(__file__).resolve().parents[1]
APP = Path(__file__).with_name("wheel_app.py")
BIN = Path(sys.executable).parent  # with uv, and with the node that jsii uses
NAMES = ("aws-cdk-lib", "constructs")

pytestmark = pytest.mark.slow


def oldest(name: str) -> str:
    """The oldest version that the package declares."""
    declared: list[str] = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["dependencies"]
    (found,) = (match for each in declared if (match := re.fullmatch(rf"{name}>=([0-9.]+),<[0-9]+", each)))
    return found[1]


CDK = {
    "oldest": {name: oldest(name) for name in NAMES},
    "newest": {name: importlib.metadata.version(name) for name in NAMES},
}


def run(*command: str | Path, cwd: Path) -> None:
    """Run with the caller's package sources, but without settings that would install packages elsewhere."""
    environment = sources.environment()
    environment["PATH"] = os.pathsep.join([str(BIN), environment.get("PATH", os.defpath)])
    done = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the source distribution, built from a copy with bytecode beside every source."""
    folder = tmp_path_factory.mktemp("built")
    copy = shutil.copytree(PACKAGE, folder / "copy")
    for beside in copy.rglob("*.py"):
        bytecode = beside.parent / "__pycache__" / f"{beside.stem}.cpython-311.pyc"
        bytecode.parent.mkdir(exist_ok=True)
        bytecode.write_bytes(b"bytecode")
    run(BIN / "uv", "build", "--out-dir", folder / "dist", copy, cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_has_the_constructs_the_handler_and_the_licence_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    information = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"

    source = PACKAGE / "src"
    sources = [path for kind in ("*.py", "*.sql") for path in source.rglob(kind)]
    expected = {path.relative_to(source).as_posix() for path in sources} | {"restate_lambda_cdk/py.typed"}
    assert "restate_lambda_cdk/handler/registration/cloudformation.py" in expected
    assert "restate_lambda_cdk/handler/monitor/unfinished.sql" in expected
    assert names == expected | {f"{information}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}


def test_the_source_distribution_has_what_the_wheel_is_built_from_and_no_tests(built: Path) -> None:
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "README.md", "pyproject.toml", "src/restate_lambda_cdk/py.typed"} <= names
    assert [name for name in names if "test" in name or "__pycache__" in name or name.endswith(".pyc")] == []


@pytest.mark.parametrize("end", CDK)
def test_an_app_that_installs_the_wheel_synthesizes(wheel: Path, end: str, tmp_path: Path) -> None:
    # given an environment with only the wheel and its dependencies
    python, out = tmp_path / "venv" / "bin" / "python", tmp_path / "out"
    run(BIN / "uv", "venv", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    pins = [f"{name}=={version}" for name, version in CDK[end].items()]
    options = sources.uv_options(sources.environment())
    run(BIN / "uv", "pip", "install", *options, "--python", python, wheel, *pins, cwd=tmp_path)

    # when the app is synthesized; -I: without what is beside it, or in this checkout
    run(python, "-I", APP, out, cwd=tmp_path)

    # then its services are registered as it says, by the handler from the wheel
    registered = {
        "+".join(each["ServiceNames"]): each for each in properties(out, "Services", "Custom::RestateService")
    }
    assert registered.keys() == {"cars+flights", "trips", "old"}
    assert registered["cars+flights"]["Callers"] == ["trips"]
    trips = registered["trips"]
    assert [trips[name] for name in ("TakeOver", "DrainSeconds", "ServiceTimeout")] == ["true", "180", "960"]
    assert trips["Variables"]["TABLE"]["Fn::ImportValue"].startswith("Shared:ExportsOutputRefTable")
    handlers = [path.parent for path in out.glob("asset.*/registration")]
    assert [files(each) for each in handlers] == [files(PACKAGE / "src" / "restate_lambda_cdk" / "handler")]


def properties(out: Path, stack: str, kind: str) -> list[dict[str, Any]]:
    template = json.loads((out / f"{stack}.template.json").read_text())
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def files(folder: Path) -> dict[str, str]:
    """Everything in a folder, except bytecode that its use here may have left."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix != ".pyc" or folder.name.startswith("asset."))
    }
