"""The Restate constructs in somebody else's app."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.lifted import lifted


def test_the_ten_lines_of_the_documentation_are_a_cdk_app(tmp_path: Path) -> None:
    # given the app that the documentation describes, without anything of this project on the path
    folder = lifted(tmp_path)
    (folder / "greeter" / "greeter.py").write_text("handler = None\n")
    context = {"adminUrl": "http://restate.example.com:9070"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"CDK_OUTDIR": str(folder / "cdk.out"), "CDK_CONTEXT_JSON": json.dumps(context)}

    # when it is synthesized
    subprocess.run([sys.executable, "app.py"], cwd=folder, env=environment, check=True)

    # then it introduces the service
    template = json.loads((folder / "cdk.out" / "Greetings.template.json").read_text())
    (introduction,) = (each for each in template["Resources"].values() if each["Type"] == "Custom::RestateService")
    assert introduction["Properties"]["AdminUrl"] == "http://restate.example.com:9070"
    assert introduction["Properties"]["ServiceName"] == "greeter"
