"""The only module that talks to SNS. The subject is constant, so no caller's text ends up in a header."""

import os

from holiday import aws
from holiday.notices import Notice

SUBJECT = "Holiday booking"


async def publish(notice: Notice) -> None:
    """Publish the notice, as JSON, to the topic that SNS_TOPIC names. Restate retries any error."""
    await aws.call(_publish, notice.to_json())


def _publish(message: str) -> None:
    aws.sns().publish(TopicArn=os.environ["SNS_TOPIC"], Subject=SUBJECT, Message=message)
