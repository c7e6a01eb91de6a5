"""No command ends in a traceback because of what its terminal can show, or what is typed there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import terminal
from localcloud.cloud import LocalCloud
from localcloud.ports import Ports

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "dependencies.install",
    "dependencies.lock",
    "holiday_stack.libraries",
    "acceptance.__main__",
    "demo.__main__",
    "localcloud.__main__",
    "comparison.bench",
    "tests.faults.chaos",
]


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False, capture_output=True)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_character_that_the_encoding_lacks_becomes_a_question_mark(encoding: str) -> None:
    code = "from dependencies.output import accept_any_encoding, say; accept_any_encoding(); say('✓ done')"

    assert run_python(code, PYTHONIOENCODING=encoding).stdout == b"? done\n"
    assert run_python(code, LANG="C", LC_ALL="C").stdout == "✓ done\n".encode()


def test_a_local_command_s_error_is_shown_in_latin_1() -> None:
    """For instance that the cloud is not running: the sentence begins with a ✗."""
    code = "import sys; from demo.__main__ import main; sys.argv = ['demo', 'trip', 'unknown-…']; main()"
    run = run_python(code, PYTHONIOENCODING="latin-1")

    assert run.stdout.startswith(b"?") and b"Traceback" not in run.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_accepts_any_encoding_before_it_does_anything(command: str) -> None:
    module = ast.parse((ROOT / f"{command.replace('.', '/')}.py").read_text())
    (main,) = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    first, *rest = [node for node in main.body if not isinstance(getattr(node, "value", None), ast.Constant)]

    assert rest
    assert ast.unparse(first) == "accept_any_encoding()"


@pytest.mark.parametrize("how", [KeyboardInterrupt, EOFError])
def test_ctrl_c_and_ctrl_d_at_a_question_end_a_command_without_a_traceback(
    how: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ask() -> None:
        raise how

    monkeypatch.setattr(terminal, "INTERRUPTIONS", ())  # the test process keeps its own
    assert terminal.run("cancel", ask, LocalCloud(tmp_path, Ports.default())) == 130


def test_ctrl_c_while_a_command_of_make_imports_shows_no_traceback(tmp_path: Path) -> None:
    """Every command runs like this one, whose imports are interrupted."""
    (tmp_path / "command.py").write_text("import sys\nprint(*sys.argv[1:])\nraise KeyboardInterrupt")
    command = [sys.executable, "-m", "dependencies.run", "command", "--an", "option"]
    run = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, check=False, capture_output=True, text=True
    )

    assert (run.returncode, run.stdout, run.stderr) == (130, "--an option\n", "")
    assert set(re.findall(r"\.venv/bin/python -m (\S+)", (ROOT / "Makefile").read_text())) == {"dependencies.run"}
