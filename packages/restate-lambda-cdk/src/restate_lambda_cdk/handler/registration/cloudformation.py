"""The custom resource's handler: one answer for each of CloudFormation's events.

A Create or Update that fails gives the reason in one sentence, which `cdk deploy` shows. A Delete never fails: a stack
that cannot be deleted helps nobody, so what stays behind is logged instead. The physical id never changes. Otherwise
CloudFormation would treat an update as a replacement and delete the "old" registration, which is the new one.
"""

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from registration.admin import Admin, AdminError, RefusedError, UnavailableError
from registration.api_key import read_api_key
from registration.deadline import Deadline, retry
from registration.properties import Version, Wanted, function_of
from registration.registering import Before, is_left_behind, register, versions_of
from registration.removing import UNREACHABLE_SECONDS, prune, remove
from registration.variables import check_variables

log = logging.getLogger()
log.setLevel(logging.INFO)

KEPT_BACK_SECONDS = 45  # of the function's time-out: one last request may hang, and the answer has to go out
ANSWER_SECONDS = 10  # for one try of the answer
CLEANING_SECONDS = 30
REGISTERED, NOT_REGISTERED = "restate-", "not-registered-"  # what physical ids begin with


class Context(Protocol):
    """The part of Lambda's context that is used here."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: Context) -> None:
    """Lambda's entry point."""
    failure = failure_of(event, Deadline(context.get_remaining_time_in_millis() / 1000 - KEPT_BACK_SECONDS))
    answer(event, failure, Deadline(context.get_remaining_time_in_millis() / 1000 - ANSWER_SECONDS))


def failure_of(event: Mapping[str, Any], deadline: Deadline) -> str | None:
    """Do what the event asks for. Returns the reason if that failed, otherwise None."""
    failure = None
    try:
        if event["RequestType"] != "Delete":
            create_or_update(event, deadline)
        else:
            failed_create = _failed_create(event)
            wanted = Wanted.of(event["ResourceProperties"], _name(event), failed_create or event["RequestId"])
            deregister(wanted, deadline, create_failed=bool(failed_create))
    except AdminError as error:
        log.error("%s", error)
        failure = str(error)
    except Exception as error:
        log.exception("unexpected error")
        failure = f"The registration function failed with {type(error).__name__}: see its log."
    return None if event["RequestType"] == "Delete" else failure


def create_or_update(event: Mapping[str, Any], deadline: Deadline) -> None:
    """Create or Update."""
    name, request = _name(event), event["RequestId"]
    wanted = Wanted.of(event["ResourceProperties"], name, request)
    wanted.check()
    admin = admin_of(wanted, deadline)
    version = wanted.version
    old = Wanted.of(event["OldResourceProperties"], name, request) if event["RequestType"] == "Update" else None
    before = Before(old.version, old.admin_url == wanted.admin_url) if old else None
    known = retry(deadline, lambda: {each.arn for each in versions_of(admin, version)})
    if not before or may_be_forward(version, before, is_known=version.arn in known):
        check_variables(version, deadline, before.version if before else None)
    try:
        deployment_id = register(admin, version, deadline, before)
    except Exception:
        if not before:  # CloudFormation's Delete comes later, and where nothing is rolled back, not at all
            deregister(replace(wanted, version=replace(version, callers=frozenset())), deadline, create_failed=True)
        raise
    if old and deployment_id:
        clean_up(admin, deployment_id, wanted, old, deadline)
    if not old:
        remove_left_behind(admin, wanted, deadline)


def may_be_forward(version: Version, before: Before, *, is_known: bool) -> bool:
    """Whether an update may be rejected for its variables. A rejected rollback would leave the stack in
    UPDATE_ROLLBACK_FAILED. The rollback of an update that was rejected here passes the check itself."""
    if version.arn == before.version.arn:
        return version.variables != before.version.variables
    return not is_known and not version.is_no_newer_than(before.version)


def admin_of(wanted: Wanted, deadline: Deadline) -> Admin:
    """The admin API with the current key, which may have been rotated since the last event."""
    wanted.check_url()
    return Admin(wanted.admin_url, read_api_key(wanted.secret, deadline) if wanted.secret else None)


def clean_up(admin: Admin, deployment_id: str, wanted: Wanted, old: Wanted, deadline: Deadline) -> None:
    """After an update, remove what is stale, here and where Restate was before. Does not fail.

    The previous latest version stays until the next update: an invocation may be on its way to it, and a rollback may
    need it. Two URLs can lead to one server, and then nothing there may be removed because it "moved".
    """
    deadline = deadline.within(old.drain_seconds + CLEANING_SECONDS)
    try:
        there = admin if old.admin_url == wanted.admin_url else admin_of(old, deadline)
        known_there = retry(deadline.within(UNREACHABLE_SECONDS), there.deployments)
        same_server = deployment_id in {known.id for known in known_there}
        moved = not same_server or old.version.function != wanted.version.function
        if moved and old.version.is_published:  # or else it was refused
            remove(there, old.version, deadline, drain_seconds=old.drain_seconds)
        keep = {wanted.version.arn, old.version.arn}
        retry(deadline.within(UNREACHABLE_SECONDS), lambda: prune(admin, wanted.version, keep))
    except AdminError as error:
        log.error("stale deployments may be left at %s: %s", old.admin_url, error)


def remove_left_behind(admin: Admin, wanted: Wanted, deadline: Deadline) -> None:
    """After a Create, remove the functions that the same registration of a deleted stack left behind. Does not fail."""
    version, deadline = wanted.version, deadline.within(wanted.drain_seconds + CLEANING_SECONDS)
    try:
        known = retry(deadline.within(UNREACHABLE_SECONDS), admin.deployments)
        left = {function_of(each.arn): each.arn for each in known if each.arn and is_left_behind(each, version)}
        for arn in left.values():
            log.warning("removing %s, which a stack of the same name left behind", arn)
            remove(admin, replace(version, arn=arn), deadline, drain_seconds=wanted.drain_seconds)
    except AdminError as error:
        log.error("stale deployments may be left at %s: %s", wanted.admin_url, error)


def deregister(wanted: Wanted, deadline: Deadline, *, create_failed: bool = False) -> None:
    """Deregister; after a Create that failed, only what it registered. Logs what it cannot remove."""
    if not wanted.version.is_published:
        return  # it was refused, and the function's versions are another registration's
    deadline = deadline.within(wanted.drain_seconds + CLEANING_SECONDS)
    try:
        admin, drain = admin_of(wanted, deadline), wanted.drain_seconds
        remove(admin, wanted.version, deadline, drain_seconds=drain, create_failed=create_failed)
    except AdminError as error:
        may_be = "may be " if create_failed else ""
        log.error("%sleft in Restate, to be removed by hand: versions of %s (%s)", may_be, wanted.version.arn, error)


def answer(event: Mapping[str, Any], failure: str | None, deadline: Deadline) -> None:
    """Send CloudFormation the answer, and retry until it is accepted or time is up."""
    body = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure or "",
        "PhysicalResourceId": event.get("PhysicalResourceId") or _new_id(event, failure),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    content = json.dumps(body).encode()
    retry(deadline, lambda: send(event["ResponseURL"], content))
    log.info("%s %s: %s", event["RequestType"], event["LogicalResourceId"], body["Status"])


def _new_id(event: Mapping[str, Any], failure: str | None) -> str:
    """The physical id. CloudFormation deletes what a failed Create made, and that may be another registration's. So the
    id of a failed Create names its request."""
    if failure:
        return f"{NOT_REGISTERED}{event['LogicalResourceId']}-{event['RequestId']}"
    return f"{REGISTERED}{event['LogicalResourceId']}"


def _failed_create(event: Mapping[str, Any]) -> str | None:
    """The request that failed, if this is the Delete that follows a failed Create."""
    physical_id = event.get("PhysicalResourceId", "")
    if not physical_id.startswith(NOT_REGISTERED):
        return None
    return physical_id.removeprefix(f"{NOT_REGISTERED}{event['LogicalResourceId']}-")


def _name(event: Mapping[str, Any]) -> str:
    """The registration's name in Restate, which is unique in all of AWS.

    It leaves out the stack's unique id: a stack that is deleted and created again owns what the deletion left behind.
    """
    return f"{event['StackId'].rpartition('/')[0]}/{event['LogicalResourceId']}"


def send(url: str, content: bytes) -> None:
    """Send once. The URL is signed and appears in no message: anyone who has it can answer for this function."""
    request = urllib.request.Request(url, content, {"Content-Type": ""}, method="PUT")  # as it was signed
    try:
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()
        said = f"CloudFormation rejected the response with {error.code}"
        raise (
            UnavailableError(said) if error.code >= http.client.INTERNAL_SERVER_ERROR else RefusedError(said)
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"The response did not reach CloudFormation ({error!r})") from None
