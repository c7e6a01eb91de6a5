"""Runs the commands of the README and docs/calling.md and compares their output. Its Python client books a trip."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from demo import demo
from localcloud.environment import ROOT
from tests.conftest import in_both_modes
from tests.deploy.pages import commands, comparable, here, prints, run
from tests.driver import Holiday, eventually
from tests.expectations import of_the_original_three

README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "calling.md").read_text()


@pytest.mark.parametrize("mode", in_both_modes("on_lambda"))
def test_each_command_of_the_page_prints_what_the_page_shows(request: pytest.FixtureRequest, mode: str) -> None:
    holiday: Holiday = request.getfixturevalue(mode)
    shown = commands(PAGE)
    assert len(shown) == 7

    for command, lines in shown:
        status, printed = run(holiday.cloud, here(holiday.cloud, command).replace("curl ", "curl --no-progress-meter "))

        assert prints(comparable("\n".join(lines)), (status, printed)), f"{command}\n{printed}"


def test_each_curl_of_the_readme_prints_what_the_readme_shows(on_lambda: Holiday) -> None:
    shown = [(command, lines) for command, lines in commands(README) if command.startswith("curl")]
    assert len(shown) == 3

    for command, lines in shown:
        status, printed = run(on_lambda.cloud, here(on_lambda.cloud, command).replace("curl ", "curl --silent "))

        expected, said = (re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<uuid>", text) for text in ("\n".join(lines), printed))
        assert prints(comparable(expected), (status, said)), f"{command}\n{printed}"


@of_the_original_three
def test_the_demo_prints_what_the_readme_shows(on_lambda: Holiday) -> None:
    [shown] = re.findall(r"```console\n\$ make demo\n```.*?```text\n(.*?)```", README, re.DOTALL)
    console = Console(file=io.StringIO(), width=120)

    assert demo.run(on_lambda.cloud, console)

    assert isinstance(console.file, io.StringIO)
    lines = {re.sub(r"\d+\.\d\ds|─+", "", line).strip() for line in console.file.getvalue().splitlines()}
    expected = [re.sub(r"\d+\.\d\ds|─+", "", line).strip() for line in here(on_lambda.cloud, shown).splitlines()]
    assert len(expected) > 10
    assert [line for line in expected if line not in lines] == []


def test_the_page_s_client_books_a_trip_and_passes_the_type_checker(on_lambda: Holiday, tmp_path: Path) -> None:
    [client] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    source = tmp_path / "client.py"
    source.write_text(client.replace("http://127.0.0.1:8080", on_lambda.cloud.ingress_url))
    settings = {"include": ["*.py"], "typeCheckingMode": "standard", "extraPaths": [str(ROOT / "lambdas")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))

    on_path = {"PYTHONPATH": str(ROOT / "lambdas")}
    done = subprocess.run([sys.executable, str(source)], env=on_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "success lofoten\n"), done.stderr
    rows = eventually(lambda: on_lambda.rows("lofoten")["Cars"], bool)
    assert [row["rental"] for row in rows] == ["Volvo"]

    # and the type checker accepts it, but not a field that no answer has
    (tmp_path / "wrong.py").write_text(client.replace("booked.trip_id", "booked.trip"))
    pyright = ["pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    checked = subprocess.run(pyright, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    said = re.findall(r"(\w+\.py):\d+:\d+ - error: (.*)", checked.stdout)
    assert [(file, "trip" in error) for file, error in said] == [("wrong.py", True)], checked.stdout
