"""The CDK app of the Step Functions version, a stack for each type of workflow.

`cdk deploy --all --app "python comparison/step_functions/app.py"`; `-c bundleFor=host` for an emulator.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from aws_cdk import App

from comparison.step_functions.stack import StepFunctionsStack, build_package

app = App(analytics_reporting=False)
with TemporaryDirectory() as package:
    build_package(Path(package), app.node.try_get_context("bundleFor") or "lambda")
    for workflow_type in ("STANDARD", "EXPRESS"):
        StepFunctionsStack(app, workflow_type, package)
    app.synth()
