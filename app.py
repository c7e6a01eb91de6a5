"""The CDK app: settings in, one stack out. A wrong setting ends with one sentence on stderr, not a traceback."""

import sys

from aws_cdk import App

from holiday_stack.bundling import BundlingError
from holiday_stack.settings import Settings, SettingsError, not_settings
from holiday_stack.stack import HolidayStack


def main() -> None:
    # No CDK metadata resource: the same sources make the same template, and deployments send no usage data.
    app = App(analytics_reporting=False)
    context = app.node.get_all_context()
    try:
        settings = Settings.from_context(context)
        HolidayStack(app, settings.stack_name, settings)
    except (SettingsError, BundlingError) as error:
        sys.exit(str(error))
    if ignored := not_settings(context):
        print(f"Ignored, because they are not settings of this app: {', '.join(ignored)}.", file=sys.stderr)
    app.synth()


if __name__ == "__main__":
    main()
