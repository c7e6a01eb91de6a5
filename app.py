"""The CDK app: settings in, one stack out. A wrong setting is one sentence on stderr, not a traceback."""

import sys

from aws_cdk import App

from holiday_stack.bundling import BundlingError
from holiday_stack.settings import Settings, SettingsError, not_settings
from holiday_stack.stack import HolidayStack


def main() -> None:
    # No CDK metadata resource: the same sources make the same template, and a deployment reports to nobody.
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    try:
        settings = Settings.from_context(context)
        HolidayStack(app, settings.stack_name, settings)
    except (SettingsError, BundlingError) as error:
        sys.exit(str(error))
    if ignored := not_settings(context):
        print(f"Not settings of this app, and ignored: {', '.join(ignored)}.", file=sys.stderr)
    app.synth()


if __name__ == "__main__":
    main()
