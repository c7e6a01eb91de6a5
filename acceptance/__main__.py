"""`python -m acceptance`, or `make acceptance`: checks the contract on a separate stack, and writes a report.

Without options it runs in a local cloud, which is stopped at the end. With `--ingress` it runs on AWS: it says what it
will create, and creates nothing before the user types yes. It cleans up however it ends.
"""

import argparse
import re
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from acceptance.aws import AwsSite
from acceptance.checks import Check, Checks
from acceptance.report import Result, page, redact, versions
from acceptance.sites import LocalSite, Site
from demo.cloud import HolidayCloud
from demo.restate import refuse_unsafe
from dependencies.output import accept_any_encoding
from localcloud.environment import LOCAL, LocalCloudError
from localcloud.ports import Ports
from localcloud.processes import INTERRUPTIONS
from localcloud.terminal import say

RESTATE_CLOUD = re.compile(r"https://(?P<id>[a-z0-9]+)\.env\.(?P<region>us|eu)\.restate\.cloud(:\d+)?/?")
SET_BY_THE_RUN = (
    *("environment", "prefix", "disposable", "registration", "adminUrl", "ingressUrl"),
    *("environmentId", "restateRegion", "authTokenSecretArn"),
)
"""Settings that `-c` must not change: the run would use a stack or Restate that it has not checked, or leave tables."""
PLAN = """
This runs on AWS, with your credentials, and on the Restate at {ingress}, which has no services.

It creates, in account {account}, region {region}, under names that begin with {name}:
{makes}

It deploys, deploys again without a change, deploys a version that fails and is rolled back, and removes the stack. In
between it books about twenty trips and sends about thirty bad requests: a few hundred invocations of small functions.
Only the secret is billed by time. Expect less than a dollar, plus usage at Restate Cloud; this is an estimate, not
taken from a bill. It has not been timed on AWS: allow an hour.

It removes all of this at the end, also when interrupted. If it is killed (kill -9), remove it with:
{by_hand}

What stays: the CDK's assets in the bootstrap bucket, as after every deployment, and the journals of these trips in
Restate, for a day.
"""


def main(cloud: HolidayCloud | None = None) -> int:
    """Run the command line, by default in `.local/acceptance`. Returns 0 if all checks passed and nothing is left."""
    accept_any_encoding()
    arguments = _arguments()
    for signum in INTERRUPTIONS:
        signal.signal(signum, _interrupt)
    cloud = cloud or HolidayCloud(LOCAL / "acceptance" / "cloud", Ports.free())
    name = f"acceptance-{uuid.uuid4().hex[:8]}"
    folder = cloud.directory.parent / name
    try:
        with cloud.locked():
            if arguments.ingress is None:
                site: Site = LocalSite(name, cloud, dict(arguments.context), folder)
                return run(site, "a local cloud")
            aws = _on_aws(name, arguments, folder)
            return run(aws, f"AWS, {aws.region}")
    except LocalCloudError as error:
        say(f"✗ {error}")
        return 1
    except (KeyboardInterrupt, EOFError):
        say("\nInterrupted.")
        return 130


def run(site: Site, where: str) -> int:
    """Run the checks, clean up, and write the report; returns the exit status. An interruption is raised after that."""
    site.folder.mkdir(parents=True)
    results, left, what_runs = list[Result](), list[str](), dict[str, str]()
    ending = "interrupted"
    checks = Checks(site)
    try:
        try:
            site.prepare()
            what_runs |= versions(site)
            for check in checks.all():
                results.append(_result(check, site, results))
            failed = [result.title for result in results if result.status != "ok"]
            ending = f"{len(failed)} of {len(results)} checks failed" if failed else f"all {len(results)} checks passed"
        finally:
            _ignore_interruptions()
    except Exception as error:
        ending = f"could not start: {_redacted(site, str(error))}"
    finally:
        _ignore_interruptions()
        say("… Cleaning up")
        left += [_redacted(site, line) for line in site.clean_up()]
        results += [Result(title, "not run") for title, _ in checks.all()[len(results) :]]
        text = page(site.name, where, what_runs, results, ending, left)
        report = site.folder / "report.md"
        report.write_text(text)
        say(f"\n{text}\nThis report: {report}\nThe CDK's output: {report.with_name('cdk.log')}")
    return 0 if not left and all(result.status == "ok" for result in results) else 1


def _result(check: Check, site: Site, before: Sequence[Result]) -> Result:
    title, look = check
    if before and before[0].status != "ok":
        return Result(title, "not run", "the first deployment failed")
    begin = time.monotonic()
    try:
        status, evidence = "ok", look()
    except Exception as error:
        status, evidence = "failed", str(error) or type(error).__name__
    result = Result(title, status, _redacted(site, evidence), time.monotonic() - begin)
    say(f"{'✓' if status == 'ok' else '✗'} {title} ({result.seconds:.1f} s): {result.evidence}")
    return result


def _redacted(site: Site, text: str) -> str:
    return redact(text, site.key, site.ingress_url, site.admin_url)


def _on_aws(name: str, arguments: argparse.Namespace, folder: Path) -> AwsSite:
    """Ask for the key, check AWS and Restate without changing anything, show the plan, and ask for confirmation."""
    if not (sys.stdin.isatty() or arguments.yes):
        raise LocalCloudError("This needs a terminal to confirm in, so nothing was done on AWS: use one, or --yes.")
    ingress: str = arguments.ingress.rstrip("/")
    if found := RESTATE_CLOUD.fullmatch(ingress):
        admin = arguments.admin or f"https://{found['id']}.env.{found['region']}.restate.cloud:9070"
        settings = {"environmentId": f"env_{found['id']}", "restateRegion": found["region"]}
    elif arguments.admin:
        admin = arguments.admin.rstrip("/")
        settings = {"adminUrl": admin, "ingressUrl": ingress}
    else:
        raise LocalCloudError(
            f"{ingress!r} is not a Restate Cloud URL: name your server's admin API, --admin https://…."
        )
    ask = "API key for both the ingress and the admin API, which is not shown (Enter: none): "
    key = (getpass(ask) if sys.stdin.isatty() else sys.stdin.readline()).strip() or None
    for url in (ingress, admin):
        refuse_unsafe(url, key)
    if "environmentId" in settings and not key:
        raise LocalCloudError("Restate Cloud requires an API key.")
    site = AwsSite(name, (ingress, admin, key), settings, dict(arguments.context), folder)
    site.refuse_services()
    removals = site.removals()
    makes = "\n".join(f"- {what}" for what in removals)
    by_hand = "\n".join(f"  {line}" for _, line in removals.values())
    plan = {"ingress": ingress, "account": site.account(), "region": site.region, "name": name, "makes": makes}
    say(PLAN.format(**plan, by_hand=by_hand))
    if not arguments.yes and input("Type yes to continue: ").strip() != "yes":
        raise LocalCloudError("Not confirmed, and nothing was touched.")
    return site


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m acceptance", description="Checks the contract on a separate stack."
    )
    parser.add_argument("--ingress", metavar="URL", help="run on AWS, with the Restate that has this ingress")
    parser.add_argument(
        "--admin", metavar="URL", help="its admin API; for Restate Cloud the default is the same host, port 9070"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation; without a terminal, read the key from stdin"
    )
    parser.add_argument("-c", dest="context", action="append", default=[], type=_setting, metavar="NAME=VALUE")
    arguments = parser.parse_args()
    if arguments.admin is not None and arguments.ingress is None:
        parser.error("--admin is for a run on AWS, and needs --ingress")
    return arguments


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE")
    if name in SET_BY_THE_RUN:
        raise argparse.ArgumentTypeError(f"{name} is set by the run itself: leave it out")
    return name, value


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    """Raise for the first signal only: later ones must not interrupt the clean-up."""
    _ignore_interruptions()
    raise KeyboardInterrupt


def _ignore_interruptions() -> None:
    for signum in INTERRUPTIONS:
        signal.signal(signum, _ignore)


def _ignore(_signum: int, _frame: FrameType | None) -> None:
    """Used instead of SIG_IGN, which child processes would inherit."""


if __name__ == "__main__":
    sys.exit(main())
