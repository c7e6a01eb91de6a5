"""app.py as the CDK CLI runs it: a process with settings in its environment and an exit code."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from holiday_stack import bundling, libraries
from tests.stack.conftest import CLOUD, ROOT


def start_app(
    outdir: Path, context: dict[str, str], root: Path = ROOT, umask: int = 0o022, **variables: str
) -> subprocess.Popen[str]:
    """Start app.py without AWS credentials, region or home directory: synth needs none of them."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return subprocess.Popen(
        [sys.executable, str(root / "app.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=outdir,
        umask=umask,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(outdir),
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"],
            "CDK_OUTDIR": str(outdir / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps(flags | context),
            **variables,
        },
    )


def run_app(outdir: Path, context: dict[str, str], root: Path = ROOT) -> tuple[int, str]:
    """Run app.py. Returns its exit code and stderr."""
    app = start_app(outdir, context, root)
    _, said = app.communicate()
    return app.returncode, said


def checkout(directory: Path, modified: datetime) -> Path:
    """Another checkout with the libraries for Lambda and this modification time. Nothing is built in it yet."""
    fetched = Path(".local") / "libraries" / libraries.LAMBDA.name
    libraries.fetch(libraries.LAMBDA)
    directory.mkdir()
    shutil.copy(ROOT / "app.py", directory)
    for folder in (Path("holiday_stack"), Path("lambdas"), Path("dependencies"), fetched):
        shutil.copytree(ROOT / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in directory.rglob("*"):
        os.utime(path, (modified.timestamp(), modified.timestamp()))
    return directory


def assets(outdir: Path) -> dict[str, tuple[str, int]]:
    """The files that would be uploaded: path (with the asset's hash), content hash and mode."""
    files = (path for path in (outdir / "cdk.out").glob("asset.*/**/*") if path.is_file())
    return {
        str(path.relative_to(outdir)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in files
    }


def test_two_checkouts_make_the_same_template_and_packages_whatever_the_path_umask_or_clock(tmp_path: Path) -> None:
    # given two checkouts whose files' times are years and half a day apart
    first = checkout(tmp_path / "first", datetime(2001, 9, 9, tzinfo=UTC))
    second = checkout(tmp_path / "a longer path with spaces", datetime(2026, 2, 3, tzinfo=UTC))

    # when each is synthesized
    one = start_app(first, CLOUD, first, umask=0o022, TZ="Pacific/Auckland", PYTHONHASHSEED="1")
    other = start_app(second, CLOUD, second, umask=0o077, TZ="America/Los_Angeles", PYTHONHASHSEED="2")
    said = [app.communicate()[1] for app in (one, other)]

    # then both would deploy the same
    assert (one.returncode, other.returncode) == (0, 0), said
    for name in ("HolidayStack.template.json", "HolidayStack.assets.json"):
        assert (first / "cdk.out" / name).read_text() == (second / "cdk.out" / name).read_text()
    assert any(path.endswith("holiday/trips.py") for path in assets(first))
    assert assets(first) == assets(second)


def test_a_native_module_for_another_cpu_is_reported_in_one_sentence_with_exit_code_1(tmp_path: Path) -> None:
    # given a package with a native module for another CPU, according to its header
    root = checkout(tmp_path / "checkout", datetime.now(UTC))
    built = bundling.package("holiday", bundling.LAMBDA, lambdas=root / "lambdas", local=root / ".local")
    (module,) = (built / "restate").glob("*.so")
    with module.open("r+b") as file:
        file.seek(18)
        file.write((62).to_bytes(2, "little"))  # x86-64

    # when the app is synthesized
    code, said = run_app(tmp_path, CLOUD, root)

    # then the error names it, without a traceback
    assert code == 1
    assert said == (
        f"restate/{module.name} is not machine code for aarch64, so lambda-3.13 could not load it: "
        "delete .local/libraries and .local/packages, and run this again.\n"
    )


def test_an_invalid_setting_is_reported_in_one_sentence_with_exit_code_1(tmp_path: Path) -> None:
    code, said = run_app(tmp_path, CLOUD | {"restateRegion": "mars"})

    assert code == 1
    assert said == (
        "restateRegion must be us or eu, not 'mars'. Set with -c, or in cdk.json, cdk.context.json or ~/.cdk.json.\n"
    )
