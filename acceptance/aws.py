"""An acceptance on AWS, in the caller's own account.

This is the only module of the repository that passes the caller's AWS credentials to a command. It is used only with
`--ingress`, and creates nothing before the caller has confirmed. It has never been run against AWS itself.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from acceptance.driver import eventually
from acceptance.sites import Site
from localcloud.clients import Clients
from localcloud.environment import ROOT, LocalCloudError, package_sources

EVERY = 2.0
"""Seconds between polls of operations that take minutes."""
CLEAN_UP_SECONDS = 1800
"""Time-out for a stack to settle and be deleted. Its registrations wait for running invocations."""


class AwsSite(Site):
    """The caller's AWS account and a Restate that is reached with `key`. Raises LocalCloudError without credentials."""

    wait = 1

    def __init__(
        self,
        name: str,
        restate: tuple[str, str, str | None],
        settings: Mapping[str, str],
        context: Mapping[str, str],
        folder: Path,
    ) -> None:
        region = os.environ.get("AWS_REGION") or boto3.Session().region_name
        if not region:
            raise LocalCloudError("AWS_REGION is not set, and your AWS configuration names no region: set one.")
        self.region = region
        session: Any = boto3.Session(region_name=region)
        credentials: Any = session.get_credentials()
        if not credentials:
            raise LocalCloudError("No AWS credentials found: log in, or set AWS_PROFILE.")
        self._credentials = credentials
        ingress_url, admin_url, self.key = restate
        super().__init__(name, ingress_url, admin_url, Clients(session.client), {**settings, **context}, folder)

    def account(self) -> str:
        """The id of the account that the credentials belong to. Raises LocalCloudError if AWS rejects them."""
        try:
            return self.client("sts").get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            raise LocalCloudError(f"AWS rejected your credentials: {error}") from None

    def environment(self) -> dict[str, str]:
        """The caller's, with the credentials and region that this process uses: the CDK might find others."""
        now = self._credentials.get_frozen_credentials()
        keys = {"AWS_ACCESS_KEY_ID": now.access_key, "AWS_SECRET_ACCESS_KEY": now.secret_key}
        if now.token:
            keys["AWS_SESSION_TOKEN"] = now.token
        others = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH")
        tools = (Path(sys.executable).parent, ROOT / "node_modules" / ".bin")
        return {name: value for name, value in os.environ.items() if name not in others} | {
            **package_sources(),
            **keys,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
        }

    def prepare(self) -> None:
        if self.key:
            secrets = self.client("secretsmanager")
            secret = secrets.create_secret(Name=self.name, SecretString=self.key)
            self.settings["authTokenSecretArn"] = secret["ARN"]

    def removals(self) -> dict[str, tuple[Callable[[], None], str]]:
        """What the run creates, in the order of removal: the function that removes it, and the command by hand."""
        queue = f'"$(aws sqs get-queue-url --queue-name {self.name} --query QueueUrl --output text)"'
        secret = f"aws secretsmanager delete-secret --force-delete-without-recovery --secret-id {self.name}"
        return {
            f"the stack {self.stack}": (
                self._delete_stack,
                f"aws cloudformation delete-stack --stack-name {self.stack}",
            ),
            "what it registered with Restate": (self._demand_no_services, "restate deployments remove --force <id>"),
            f"its log groups, …{self.stack}…": (
                self._delete_log_groups,
                f"aws logs describe-log-groups --log-group-name-pattern {self.stack}; aws logs delete-log-group",
            ),
            f"the queue {self.name}": (self._delete_queue, f"aws sqs delete-queue --queue-url {queue}"),
            f"the secret {self.name}, which holds your API key": (self._delete_secret, secret),
        }

    def clean_up(self) -> list[str]:
        left: list[str] = []
        for what, (remove, by_hand) in self.removals().items():
            if left and remove == self._delete_secret:
                left.append(f"{what}: kept, because the rest still needs it. Remove it last: `{by_hand}`")
                continue
            try:
                remove()
            except Exception as error:  # reported below, and the rest is removed all the same
                left.append(f"{what}: {error} Remove it with: `{by_hand}`")
        return left

    def _delete_stack(self) -> None:
        cloudformation = self.client("cloudformation")
        at_rest = eventually(
            self.stack_status,
            lambda status: not status or status == "REVIEW_IN_PROGRESS" or not status.endswith("_IN_PROGRESS"),
            CLEAN_UP_SECONDS,
            every=EVERY,
        )
        if at_rest:
            cloudformation.delete_stack(StackName=self.stack)
            gone_or_failed = (None, "DELETE_FAILED")
            eventually(self.stack_status, lambda status: status in gone_or_failed, CLEAN_UP_SECONDS, every=EVERY)
        if status := self.stack_status():
            raise LocalCloudError(f"CloudFormation leaves it as {status}.")

    def _demand_no_services(self) -> None:
        if services := eventually(self.services, lambda found: not found, 60, every=EVERY):
            ids = ", ".join(sorted({deployment for deployment, _ in services.values()}))
            raise LocalCloudError(f"{', '.join(sorted(services))} of {ids}.")

    def _delete_log_groups(self) -> None:
        logs = self.client("logs")
        pages = logs.get_paginator("describe_log_groups").paginate()
        names = [group.get("logGroupName", "") for page in pages for group in page["logGroups"]]
        for name in names:
            if self.stack in name:  # with what in front of it, differs
                logs.delete_log_group(logGroupName=name)

    def _delete_queue(self) -> None:
        sqs = self.client("sqs")
        try:
            sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=self.name)["QueueUrl"])
        except sqs.exceptions.QueueDoesNotExist:
            return

    def _delete_secret(self) -> None:
        secrets = self.client("secretsmanager")
        try:
            secrets.delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)
        except secrets.exceptions.ResourceNotFoundException:
            return
