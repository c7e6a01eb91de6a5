"""app.py as the CDK CLI runs it: one process, settings by environment, and an exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.stack.conftest import CLOUD, ROOT


def run_app(
    outdir: Path, context: dict[str, str], cwd: Path = ROOT, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    """Without credentials, region or home directory of AWS: synth needs none of them."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        umask=umask,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(outdir),
            "CDK_OUTDIR": str(outdir / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps(flags | context),
        },
    )


def test_the_same_sources_make_the_same_template_from_anywhere(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()

    run = run_app(first, CLOUD)
    assert run.returncode == 0, run.stderr
    run = run_app(second, CLOUD, cwd=tmp_path, umask=0o077)
    assert run.returncode == 0, run.stderr

    for name in ("HolidayStack.template.json", "HolidayStack.assets.json"):
        assert (first / "cdk.out" / name).read_text() == (second / "cdk.out" / name).read_text()


def test_a_wrong_setting_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    run = run_app(tmp_path, CLOUD | {"restateRegion": "mars"})

    assert run.returncode == 1
    assert run.stderr == "restateRegion 'mars' is unknown: choose us or eu.\n"
