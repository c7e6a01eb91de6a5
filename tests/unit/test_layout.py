"""Rules of the repository layout that cannot be seen in a single file."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import readme
from holiday.services import SERVICES

ROOT = Path(__file__).parents[2]


def imported_by(folder: str) -> Iterator[tuple[str, str]]:
    """Each file name with a top-level module that it imports."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield path.name, node.module.partition(".")[0]
            if isinstance(node, ast.Import):
                yield from ((path.name, name.name.partition(".")[0]) for name in node.names)


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("holiday_stack", {"holiday", "registration", "localcloud", "demo"}),
        ("lambdas", {"holiday_stack", "localcloud", "demo", "aws_cdk", "constructs"}),
        ("packages/restate-lambda-cdk/src", {"holiday", "holiday_stack", "localcloud", "demo", "restate", "msgspec"}),
        ("packages/restate-lambda-cdk/tests", {"holiday", "holiday_stack", "localcloud", "demo", "restate", "msgspec"}),
        ("packages/restate-lambda-cdk/examples", {"holiday", "holiday_stack", "demo", "tests"}),
        ("lambdas", {"registration", "restate_lambda_cdk"}),
        ("localcloud", {"holiday", "holiday_stack", "demo", "comparison", "restate_lambda_cdk", "tests"}),
        ("dependencies", {"holiday", "holiday_stack", "localcloud", "demo", "aws_cdk"}),
        ("demo", {"acceptance", "tests"}),
        ("acceptance", {"tests"}),
    ],
)
def test_a_folder_does_not_import_what_it_must_not_depend_on(folder: str, strangers: set[str]) -> None:
    assert not [(who, what) for who, what in imported_by(folder) if what in strangers]


@pytest.mark.parametrize("folder", ["packages/restate-lambda-cdk/src", "localcloud"])
def test_the_generic_parts_know_nothing_of_holidays(folder: str) -> None:
    """They work with any app."""
    ours = {each for word in ("holiday", "trip", "flight", "car", "payment", "hotel") for each in (word, f"{word}s")}
    texts = {path: path.read_text() for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sql")}

    assert texts
    # words within names count (HOLIDAY_STACK, TripsVersionArn), but not "strip" or "in flight"
    words = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
    found = {path.name: words.findall(text.replace("in flight", "")) for path, text in texts.items()}
    assert [(name, word) for name, said in found.items() for word in said if word.lower() in ours] == []


@pytest.mark.parametrize(("name", "block"), readme.generated().items())
def test_the_readme_shows_the_current_code_and_run_types(name: str, block: str) -> None:
    begin, end = readme.marked(name)

    assert f"{begin}{block}{end}" in (ROOT / "README.md").read_text(), "run: make readme"


def test_the_readme_shows_no_other_code() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    assert shown
    assert all(code in (ROOT / "lambdas" / "holiday" / "trips.py").read_text() for code in shown)


def test_the_readme_s_tree_names_every_source_file() -> None:
    readme = (ROOT / "README.md").read_text()
    folders = ("holiday_stack", "lambdas/holiday")
    sources = {path.name for folder in folders for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    sources -= {f"{name}.py" for name in SERVICES}  # "a service each"

    assert [name for name in sorted(sources) if name not in readme] == []


@pytest.mark.parametrize("folder", ["dependencies", "holiday_stack"])
def test_set_up_uses_only_the_standard_library_and_deploying_only_requirements_txt(folder: str) -> None:
    """Set-up runs before anything is installed, and the job that deploys installs only requirements.txt."""
    allowed = {"dependencies", *sys.stdlib_module_names}
    if folder == "holiday_stack":
        allowed |= {"holiday_stack", "aws_cdk", "constructs", "restate_lambda_cdk"}

    modules = {what for _, what in imported_by(folder)} - allowed
    assert {module for module in modules if not (ROOT / folder / f"{module}.py").exists()} == set()


def test_an_invalid_value_for_debug_is_reported() -> None:
    def prints(*arguments: str, **variables: str) -> str:
        serve = ["make", "-n", "serve", *arguments]
        return subprocess.run(
            serve, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
        ).stdout

    refusal = "For a debugger: make serve DEBUG=1"
    assert refusal in prints("DEBUG=true")
    assert refusal not in prints("DEBUG=1") and "serve --debug" in prints("DEBUG=1")
    # a variable of this name may belong to another tool
    assert refusal not in prints(DEBUG="*") and "--debug" not in prints(DEBUG="*")


def test_set_up_runs_again_when_a_pin_changes() -> None:
    database = subprocess.run(["make", "-pnq"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    needs = re.findall(r"^\.venv/(?:ready|bench): (.*)$", database, re.MULTILINE)

    pins = {path.name for path in ROOT.glob("requirements*.txt")} | {"package.json", "package-lock.json"}
    assert pins <= set(" ".join(needs).split())
