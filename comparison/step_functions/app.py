"""The CDK app of the Step Functions version: `cdk deploy --app "python comparison/step_functions/app.py"`.

Context: `type=STANDARD` (the default) or `type=EXPRESS`, the two kinds of workflow; `bundleFor=host` for an emulator.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from aws_cdk import App

from comparison.step_functions.stack import StepFunctionsStack

app = App(analytics_reporting=False)
StepFunctionsStack(
    app,
    workflow_type=app.node.try_get_context("type") or "STANDARD",
    bundle_for=app.node.try_get_context("bundleFor") or "lambda",
)
app.synth()
