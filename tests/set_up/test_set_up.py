"""End-to-end set-up in fresh clones, with real packages from this machine's indexes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dependencies import lock, sources
from dependencies.missing import CPU, PLATFORM, missing_node_packages

ROOT = Path(__file__).parents[2]
SERVER = Path("node_modules", "@restatedev", f"restate-server-{PLATFORM}-{CPU}")
HOSTILE = {
    **dict.fromkeys(
        ("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "UV_SYSTEM_PYTHON", "UV_NO_CACHE", "npm_config_global"), "1"
    ),
    **{"NODE_ENV": "production", "npm_config_omit": "optional", "PYTHONIOENCODING": "latin-1", "LANG": "C"},
}
HOSTILE_PLACES = (
    *("PIP_TARGET", "PIP_PREFIX", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("npm_config_prefix", "PYTHONPATH", "PYTHONHOME"),
)
TESTS = ("tests/unit/test_trip_request.py", "tests/stack/test_snapshots.py")  # the second one needs Node.js
pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of this checkout's files, committed or not, without the ignored ones."""
    clone = tmp_path / "a clone"
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in (name for name in names if (ROOT / name).exists()):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    return clone


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user without an active environment would."""
    own = {str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin")}
    path = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if each not in own)
    environment = os.environ | {"PATH": path} | variables
    done = subprocess.run(
        command, cwd=cwd, env=environment, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def passes(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = run(*command, cwd=cwd, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_make_setup_works_in_a_hostile_shell_and_restores_missing_files(clone: Path, tmp_path: Path) -> None:
    # when a clone is set up from a shell that redirects installations and whose home is read-only
    elsewhere = tmp_path / "elsewhere"
    hostile = HOSTILE | dict.fromkeys(HOSTILE_PLACES, str(elsewhere)) | {"HOME": "/dev/null/home"}
    passes("make", "setup", cwd=clone, **hostile)

    # then everything is in its place
    passes(clone / ".venv" / "bin" / "python", "-c", "import aws_cdk, restate, ministack, pytest", cwd=clone)
    assert missing_node_packages(clone) == []
    assert not elsewhere.exists()

    # and when a Python and a Node.js package lose a file, set-up says which and restores them
    shutil.rmtree(clone / SERVER)
    shutil.rmtree(next((clone / ".venv").glob("lib/python3.*/site-packages/httpx")))
    said = passes("make", "setup", cwd=clone)
    assert "Reinstalling packages with missing files: httpx\n" in said
    assert f"not as pinned: {SERVER.relative_to('node_modules')}\n" in said
    passes(clone / ".venv" / "bin" / "python", "-c", "import httpx", cwd=clone)
    assert (clone / SERVER / "bin" / "restate-server").exists()


def test_tests_run_in_an_environment_of_uv_sync_and_make_completes_it(clone: Path) -> None:
    # given a fresh clone in which an editor has run `uv sync`, with this machine's indexes
    variables = {name: value for name, value in sources.environment().items() if name.startswith("UV_")}
    variables.pop("UV_NO_CONFIG")
    passes(Path(sys.executable).parent / "uv", "sync", "--python", sys.executable, cwd=clone, **variables)
    python = clone / ".venv" / "bin" / "python"

    # then tests run
    assert " passed" in passes(python, "-m", "pytest", "-q", *TESTS, cwd=clone)

    # and make adds what is missing and deletes nothing
    (clone / ".venv" / "precious").touch()
    assert "Creating the virtual environment" not in passes("make", "setup", cwd=clone)
    assert (clone / ".venv" / "precious").exists()
    assert missing_node_packages(clone) == []


def test_tests_run_in_an_environment_that_pip_made(clone: Path, tmp_path: Path) -> None:
    passes(sys.executable, "-m", "venv", tmp_path / "env", cwd=clone)
    python = tmp_path / "env" / "bin" / "python"
    passes(python, "-m", "pip", "install", "-q", "-r", "requirements-dev.txt", cwd=clone)

    assert " passed" in passes(python, "-m", "pytest", "-q", *TESTS, cwd=clone)


def test_make_lock_reproduces_the_committed_files(clone: Path) -> None:
    # given a clone in which the hashes of the Lambda requirements are lost
    committed = (clone / "lambdas" / "requirements.txt").read_text()
    (clone / "lambdas" / "requirements.txt").write_text("msgspec==0.1\n")

    # when the requirements are compiled
    changed = lock.lock(clone)

    # then they are back, with the version that the other files pin, and no other version has changed
    [version] = re.findall(r"^msgspec==(\S+)", (clone / "requirements-dev.txt").read_text(), re.MULTILINE)
    compiled = (clone / "lambdas" / "requirements.txt").read_text()
    assert set(re.findall(r"sha256:\w+", committed)) <= set(re.findall(r"sha256:\w+", compiled))
    assert "written: lambdas/requirements.txt" in changed
    assert [line for line in changed if "→" in line] == [f"msgspec 0.1 → {version}"]


def test_the_requirements_for_deploying_suffice_to_synthesize(clone: Path) -> None:
    passes("make", "setup-deploy", cwd=clone)

    cdk = clone / "node_modules" / ".bin" / "cdk"
    path = f"{clone / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    passes(cdk, "synth", "--quiet", "-c", "adminUrl=http://restate.example:9070", cwd=clone, PATH=path)

    assert (clone / "cdk.out" / "HolidayStack.template.json").exists()
    assert not [*(clone / ".venv").glob("lib/python3.*/site-packages/pytest")]
    assert not (clone / SERVER).exists()
