"""The CDK app of the acceptance: HolidayStack with this checkout's Lambda sources, or with a modified copy.

`-c acceptance:lambdas=<folder>` names the copy. All other context is read as settings, as in app.py.
"""

from pathlib import Path

from aws_cdk import App

from holiday_stack.bundling import LAMBDAS
from holiday_stack.settings import Settings
from holiday_stack.stack import HolidayStack


def main() -> None:
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    settings = Settings.from_context(context)
    HolidayStack(app, settings.stack_name, settings, lambdas=Path(context.get("acceptance:lambdas", LAMBDAS)))
    app.synth()


if __name__ == "__main__":
    main()
