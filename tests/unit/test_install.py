"""`make setup`, on checkouts that take their packages from a shelf: uv and pip are real, npm is a script."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dependencies import sources
from dependencies.install import Checkout, SetupError
from dependencies.missing import CPU, PLATFORM, damaged_python_packages, missing_node_packages

UV = Path(sys.executable).parent / "uv"
UV_VERSION = importlib.metadata.version("uv")
SERVER = f"@restatedev/restate-server-{PLATFORM}-{CPU}"
NPM = f"""#!/bin/sh
echo "$@" >npm.arguments
env >npm.environment
mkdir -p node_modules/{SERVER}/bin node_modules/aws-cdk
echo '{{"version": "1"}}' >node_modules/aws-cdk/package.json
case "$*" in *--include=dev*)
echo '{{"version": "1"}}' >node_modules/{SERVER}/package.json
echo server >node_modules/{SERVER}/bin/restate-server ;;
esac
"""

LOCAL_PACKAGE = f"""[project]
name = "our-constructs"
version = "1"
[build-system]
requires = ["uv_build=={UV_VERSION}"]
build-backend = "uv_build"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which nothing is set up, whose one library, uv and npm are on a shelf."""
    root, shelf = tmp_path / "check out", tmp_path / "shelf"
    root.mkdir()
    shelf.mkdir()
    uv = wheel(shelf, "uv", UV_VERSION, {f"uv-{UV_VERSION}.data/scripts/uv": f'#!/bin/sh\nexec "{UV}" "$@"\n'})
    greeting = wheel(shelf, "greeting", "1", {"greeting/__init__.py": "", "greeting-1.data/scripts/npm": NPM})
    (root / "requirements.txt").write_text(uv)
    (root / "requirements-dev.txt").write_text(uv + greeting)
    constructs = root / "packages" / "our-constructs"
    (constructs / "src" / "our_constructs").mkdir(parents=True)
    (constructs / "src" / "our_constructs" / "__init__.py").touch()
    (constructs / "pyproject.toml").write_text(LOCAL_PACKAGE)
    (root / "pyproject.toml").write_text('[tool.uv.sources]\nour-constructs = { path = "packages/our-constructs" }\n')
    packages = {"aws-cdk": {}, SERVER: {"dev": True, "optional": True, "os": [PLATFORM], "cpu": [CPU]}}
    packages["@restatedev/restate-server-plan9-x64"] = {"dev": True, "optional": True, "os": ["plan9"], "cpu": ["x64"]}
    lock = {f"node_modules/{name}": {"version": "1", **about} for name, about in packages.items()}
    (root / "package-lock.json").write_text(json.dumps({"packages": {"": {}, **lock}}))
    monkeypatch.setattr(sources, "OF_THE_SYSTEM", {"pip": [], "uv": []})
    for name in [name for name in os.environ if sources.DROPPED.fullmatch(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nothing"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return root


def wheel(shelf: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Put a wheel on the shelf, and return the line that pins it. files: what it holds, by path."""
    info = f"{name}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = shelf / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in {**files, **metadata}.items():
            info_of_file = zipfile.ZipInfo(each)
            info_of_file.external_attr = (stat.S_IFREG | 0o755) << 16  # pip leaves scripts as they are
            archive.writestr(info_of_file, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{each},,\n" for each in {**files, **metadata}))
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def make_environment(path: Path, *, with_uv: bool = True) -> Path:
    """A virtual environment as uv makes it, without pip, in which somebody has installed a package of theirs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    if with_uv:
        (path / "bin" / "uv").symlink_to(UV)
    theirs = site_packages(path) / "theirs-1.dist-info"
    theirs.mkdir()
    (theirs / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (theirs / "RECORD").write_text("theirs-1.dist-info/METADATA,,\ntheirs-1.dist-info/RECORD,,\n")
    return path


def given_uv(_checkout: Checkout, _scratch: Path) -> Path:
    return UV


def site_packages(venv: Path) -> Path:
    return next((venv / "lib").glob("python3.*")) / "site-packages"


def installed_in(venv: Path) -> set[str]:
    found = {path.name.partition("-")[0] for path in site_packages(venv).glob("*.dist-info")}
    return found - {"pip", "setuptools", "uv"}


def test_a_checkout_is_set_up_in_a_hostile_shell(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given all that would put packages elsewhere, or leave some out, in variables and in files
    elsewhere = str(tmp_path / "elsewhere")
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_TARGET"):
        monkeypatch.setenv(name, elsewhere)
    for name in (
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
        "UV_SYSTEM_PYTHON",
        "UV_NO_CACHE",
        "npm_config_global",
        "FORCE_COLOR",
    ):
        monkeypatch.setenv(name, "1")
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONUSERBASE", "npm_config_prefix", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, elsewhere)
    hostile = {
        "npm_config_omit": "optional",
        "NODE_ENV": "production",
        "UV_NO_BINARY": "1",
        "UV_CACHE_DIR": "/dev/null/x",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    for tool, text in (("pip/pip.conf", "[global]\nuser = true\n"), ("uv/uv.toml", f'[pip]\ntarget = "{elsewhere}"\n')):
        (tmp_path / "home" / ".config" / tool).parent.mkdir(parents=True)
        (tmp_path / "home" / ".config" / tool).write_text(text)

    # when it is set up
    Checkout(root).set_up()

    # then everything is where it belongs, and the steps tell how long they took
    assert installed_in(root / ".venv") == {"greeting", "our_constructs"}
    assert not Path(elsewhere).exists()
    assert missing_node_packages(root) == []
    assert (root / ".venv" / "ready").exists()
    assert "--include=dev" in (root / "npm.arguments").read_text()
    told = (root / "npm.environment").read_text()
    assert not [name for name in ("NODE_ENV", "npm_config_omit", "npm_config_prefix") if name in told]
    steps = ["Making the virtual environment", f"Installing uv {UV_VERSION}", "Installing Python packages"]
    said = capsys.readouterr().out
    assert all(f"… {step}\n✓ {step} (" in said for step in [*steps, "Installing Node.js packages"])


def test_for_deploying_there_is_nothing_but_what_that_takes(root: Path) -> None:
    make_environment(root / ".venv")
    (root / ".venv" / "bin" / "npm").write_text(NPM)
    (root / ".venv" / "bin" / "npm").chmod(0o755)

    Checkout(root, "deploy").set_up()

    assert "greeting" not in installed_in(root / ".venv")
    assert missing_node_packages(root, for_deploying=True) == []
    assert missing_node_packages(root) == [SERVER]
    assert not (root / ".venv" / "ready").exists(), "the next `make demo` has to install the rest"


def test_what_somebody_else_made_is_added_to_and_nothing_is_deleted(root: Path) -> None:
    make_environment(root / ".venv", with_uv=False)

    Checkout(root).set_up()

    assert installed_in(root / ".venv") == {"greeting", "our_constructs", "theirs"}


def test_what_make_made_is_as_pinned_and_what_is_removed_is_said(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given an environment of make's, into which somebody has installed something
    make_environment(root / ".venv")
    (root / ".venv" / "made-by-make").write_text(str(root / ".venv"))

    # when it is set up again
    Checkout(root).set_up()

    # then
    assert installed_in(root / ".venv") == {"greeting", "our_constructs"}
    assert "Removed, because nothing that is pinned needs it: theirs==1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("python", "why"),
    [
        ("#!/bin/sh\nexit 1\n", "its Python does not run"),
        ("#!/bin/sh\necho 3 10 True\n", r"its Python is 3\.10, older than 3\.11"),
        ("#!/bin/sh\necho 3 12 False\n", "it is no virtual environment"),
        (None, "its Python does not run"),
    ],
)
def test_what_somebody_else_made_and_will_not_do_is_a_sentence_and_stays(
    root: Path, python: str | None, why: str
) -> None:
    # given somebody's environment
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "precious").touch()
    if python:
        (binaries / "python").write_text(python)
        (binaries / "python").chmod(0o755)

    # when the checkout is set up
    with pytest.raises(SetupError, match=rf"^\.venv is not make's, and {why}: move it away or delete it,") as error:
        Checkout(root).set_up()

    # then
    assert "\n" not in str(error.value)
    assert (binaries / "precious").exists()


@pytest.mark.parametrize("broken", ["python", "place"])
def test_what_make_made_and_will_not_do_is_made_again(root: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr("dependencies.install.MAKE_ENVIRONMENT", (sys.executable, "-m", "venv", "--without-pip"))
    monkeypatch.setattr(Checkout, "_uv", given_uv)

    # given an environment of make's whose Python is gone, or which was moved here
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


def test_a_link_to_another_checkout_s_environment_is_never_made_again(root: Path, tmp_path: Path) -> None:
    other = make_environment(tmp_path / "other")
    (other / "made-by-make").write_text(str(other))
    (root / ".venv").symlink_to(other)

    Checkout(root).set_up()

    assert installed_in(other) == {"greeting", "our_constructs", "theirs"}


def test_what_has_gone_missing_is_said_and_put_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a checkout that is set up, from which a module and the server's binary are deleted
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
    assert "Files are missing, so these are installed again: greeting\n" in said
    assert f"Missing, or not as pinned: {SERVER}\n" in said


def test_a_package_that_is_gone_altogether_is_said_and_put_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # given a checkout that is set up, which said nothing of what was missing then, and that somebody uninstalls from
    make_environment(root / ".venv")
    Checkout(root).set_up()
    assert "Missing" not in capsys.readouterr().out
    for path in site_packages(root / ".venv").glob("greeting*"):
        shutil.rmtree(path)

    # when it is set up again
    Checkout(root).set_up()

    # then
    assert installed_in(root / ".venv") == {"greeting", "our_constructs", "theirs"}
    assert "Missing, or of another version: greeting==1\n" in capsys.readouterr().out


def test_what_npm_leaves_out_is_an_error_that_names_it(root: Path) -> None:
    # given a lock file with a package that this npm does not install
    make_environment(root / ".venv")
    lock = json.loads((root / "package-lock.json").read_text())
    lock["packages"]["node_modules/left-out"] = {"version": "1"}
    (root / "package-lock.json").write_text(json.dumps(lock))

    # when the checkout is set up
    with pytest.raises(SetupError, match=r"^npm left these out: left-out\. Its log is "):
        Checkout(root).set_up()

    # then the next command does not take it for done
    assert not (root / ".venv" / "ready").exists()


def test_a_link_to_another_checkout_s_node_modules_is_not_emptied(root: Path, tmp_path: Path) -> None:
    make_environment(root / ".venv")
    (tmp_path / "theirs").mkdir()
    (root / "node_modules").symlink_to(tmp_path / "theirs")

    with pytest.raises(SetupError, match=f"^node_modules is a link to .*/theirs, which lacks {SERVER}, aws-cdk: "):
        Checkout(root).set_up()


def test_what_cannot_be_installed_is_said_with_the_log(root: Path, tmp_path: Path) -> None:
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
        ("*", "{python} is not here: install Python 3.11 or newer, or name one: make PYTHON=python3.12 setup"),
        ("*version_info*", "{python} is older than Python 3.11: name a newer one: make PYTHON=python3.12 setup"),
        ("*ensurepip*", "{python} cannot make virtual environments: install its venv package (Debian, Ubuntu: apt "),
    ],
)
def test_a_python_that_will_not_do_is_a_sentence(root: Path, missing: str, said: str) -> None:
    # given a Python that fails when it is asked for this, in a checkout with our Makefile
    shutil.copy(Path(__file__).parents[2] / "Makefile", root)
    python = root.parent / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in {missing}) exit 1 ;; esac\n')
    python.chmod(0o755)

    # when it is told to set up
    command = ["make", "--no-print-directory", "setup", f"PYTHON={python}"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    # then
    assert run.returncode == 2
    assert run.stdout.startswith(said.format(python=python)) and run.stdout.count("\n") == 1
    assert not (root / ".venv").exists()


def test_packages_that_share_a_file_are_whole_with_the_one_s_or_the_other_s(tmp_path: Path) -> None:
    # given that two packages bring a file each of the same name, of two sizes, and the second was installed last
    (tmp_path / "shared.py").write_text("12")
    for name, size in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        (tmp_path / f"{name}-1.dist-info" / "RECORD").write_text(f"shared.py,,{size}\n")
    (tmp_path / "requirements.txt").write_text("one==1\nTwo==1\n")

    assert damaged_python_packages(tmp_path, [tmp_path / "requirements.txt"]) == []

    # when it is cut short
    (tmp_path / "shared.py").write_text("")
    assert damaged_python_packages(tmp_path, [tmp_path / "requirements.txt"]) == ["one", "two"]
