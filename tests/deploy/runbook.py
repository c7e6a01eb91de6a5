"""The commands of docs/stuck.md, "An invocation that never ends", as functions."""

import re
from functools import partial

from localcloud.invocations import unfinished
from tests.deploy.pages import commands, comparable, prints, run, section
from tests.driver import Holiday, eventually

SETTING = commands(section("stuck.md", "Find, pause, resume or cancel a trip"))[0][0]
(FIND, SHOWN), *REPAIRS = commands(section("stuck.md", "An invocation that never ends"))
MISMATCH = "[570] Found a mismatch between the code paths"


def answer(holiday: Holiday, invocation: str) -> int:
    """Wait for an invocation to end. Returns the HTTP status that its caller gets."""
    return holiday.answer(invocation).status_code


def failures(holiday: Holiday, invocation: str) -> int:
    """The number of failed attempts of an invocation that has not ended."""
    [found] = holiday.query(unfinished(f"id = '{invocation}'"))
    return found["failures"]


def is_found_by_the_page(holiday: Holiday, invocation: str, kind: str) -> None:
    """Assert that the page's query finds this invocation and prints the line that the page shows for its kind."""
    [shown] = [line for line in comparable("\n".join(SHOWN)) if kind in line]
    look = partial(run, holiday.cloud, f"{SETTING}\n{FIND} | grep -E 'TARGET|{invocation}'")
    here = [re.sub(r"/\w+/", "/any/", shown)]

    def is_right(seen: tuple[int, str]) -> bool:
        return prints(here, (seen[0], re.sub(r"/never-\w+/", "/any/", seen[1])))

    seen = eventually(look, is_right, timeout=60)
    assert is_right(seen), seen[1]


def repair(holiday: Holiday, verb: str, *names: str) -> None:
    """Run the page's command that contains `verb`, for these invocations, deployments and targets."""
    [(command, expected)] = [(command, lines) for command, lines in REPAIRS if verb in command]
    for name in names:
        shown = r"payments/\S+" if "/" in name else rf"\b{name.partition('_')[0]}_1\w+"
        command, count = re.subn(shown, name, command)
        assert count == 1, command
    seen = run(holiday.cloud, command)
    assert prints(expected, seen), f"{command}\n{seen[1]}"


def move(holiday: Holiday, invocation: str, deployment: str = "latest") -> None:
    """Pause an invocation and resume it on a deployment, with the page's commands."""
    repair(holiday, "pause", invocation)
    paused = unfinished(f"id = '{invocation}' AND status = 'paused'")
    assert eventually(lambda: holiday.query(paused), bool)
    if deployment == "latest":
        repair(holiday, "--deployment latest", invocation)
    else:
        repair(holiday, "--deployment dp_", deployment, invocation)


def cancelling_does_nothing(holiday: Holiday, invocation: str) -> None:
    """Cancel an invocation and assert that it keeps failing."""
    before = failures(holiday, invocation)
    holiday.cloud.admin.operate("cancel", invocation)
    assert eventually(lambda: failures(holiday, invocation), lambda count: count > before + 1) > before + 1
