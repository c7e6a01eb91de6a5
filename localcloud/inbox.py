"""Receives what is published to an SNS topic, as a subscriber would: through an SQS queue."""

import json
from typing import TYPE_CHECKING

from localcloud.clients import Clients

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef


class Inbox:
    """A queue subscribed to a topic. It has the policy without which AWS delivers nothing to it.

    Args:
        client: Makes the boto3 clients.
        topic: The topic's ARN.
        name: The queue's name. An existing queue of this name is reused.
        wait: For how many seconds `read` waits for what it has not got yet. Default: 0; on AWS, that may miss some.
    """

    def __init__(self, client: Clients, topic: str, name: str, wait: int = 0) -> None:
        self._sqs, self._wait = client("sqs"), wait
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        publishers = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        statement = publishers | {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": json.dumps(policy)})
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read(self) -> list[dict[str, str]]:
        """The messages since the last call: the JSON of each, and its subject as `subject`."""
        found: list[dict[str, str]] = []
        while messages := self._receive():
            for message in messages:
                envelope = json.loads(message.get("Body", ""))
                found.append(json.loads(envelope["Message"]) | {"subject": envelope.get("Subject", "")})
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message.get("ReceiptHandle", ""))
        return found

    def _receive(self) -> list["MessageTypeDef"]:
        answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=self._wait)
        return answer.get("Messages", [])
