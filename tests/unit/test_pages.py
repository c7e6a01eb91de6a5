"""The README and docs/: what they name exists, and each command is run by a test or says that it is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.contract import KINDS
from demo.readme import generated
from holiday.services import SERVICES
from holiday_stack.settings import NAMES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "packages/*/*.md", "packages/*/docs/*.md", "packages/*/examples/*/*.md")
    for path in ROOT.glob(pattern)
)
ORDER = (
    *("Run it", "Break it", "The saga's code", "When to choose this, and when Step Functions", "Develop and debug"),
    *("Deploy to Restate Cloud", "Use the constructs in your own app", "Add a service", "Repository layout", "Tests"),
    *("Operate it", "Clean up", "Licence"),
)
CALLING, STUCK = (f"tests/deploy/test_{name}.py" for name in ("calling", "operations"))
NEVER = "tests/deploy/runbook.py"
ROTATE, GREETER = "tests/deploy/test_rotate_and_take_down.py", "tests/deploy/test_greeter_example.py"
BODIES = "tests/faults/test_body_sizes.py"
RUN_BY = {
    ("README.md", "Run it"): (CALLING, "make demo"),
    ("README.md", "Break it"): (CALLING, "commands(README)"),
    ("README.md", "Tests"): (".ci/run", "make check\nmake test\n"),
    ("README.md", "Clean up"): ("tests/deploy/test_local_cloud.py", 'command(own_cloud, "down")'),
    ("CONTRIBUTING.md", "Set up"): ("tests/set_up/test_set_up.py", '"make", "setup"'),
    ("CONTRIBUTING.md", "Check and test"): (".ci/run", "make check\nmake test\n"),
    ("docs/acceptance.md", "In a local cloud"): ("tests/acceptance/test_acceptance.py", '"acceptance"'),
    ("docs/add-a-service.md", "5. Test it, review it, deploy it"): (
        "tests/deploy/test_add_a_service.py",
        "docs/add-a-service.md",
    ),
    ("docs/calling.md", "Start a trip and ask for it later"): (CALLING, "commands(PAGE)"),
    ("docs/calling.md", "Cancel a trip"): (CALLING, "commands(PAGE)"),
    ("docs/calling.md", "Why a trip failed"): (CALLING, "commands(PAGE)"),
    ("docs/deploy.md", ""): ("tests/set_up/test_set_up.py", '"make", "setup"'),
    ("docs/deploy.md", "Restate Cloud"): (ROTATE, 'section("deploy.md", "Restate Cloud")'),
    ("docs/deploy.md", "Register by hand"): (STUCK, 'section("deploy.md", "Register by hand")'),
    ("docs/develop.md", "Work in an editor, without make"): ("tests/set_up/test_set_up.py", '"requirements-dev.txt"'),
    ("docs/logs.md", "Follow a trip through the logs"): ("tests/deploy/test_trip.py", "follow"),
    ("docs/metrics.md", "How long they take"): ("tests/deploy/test_metric_filters.py", 'section("metrics.md"'),
    ("docs/rotate-the-key.md", "Steps"): (ROTATE, 'section("rotate-the-key.md", "Steps")'),
    ("docs/stuck.md", "Find, pause, resume or cancel a trip"): (STUCK, 'section("stuck.md", "Find, pause'),
    ("docs/stuck.md", "An invocation that never ends"): (NEVER, 'section("stuck.md", "An invocation'),
    ("docs/stuck.md", "A request that is too large to start"): (BODIES, 'section("stuck.md"'),
    ("docs/tear-down.md", "Steps"): (ROTATE, 'section("tear-down.md", "Steps")'),
    ("packages/restate-lambda-cdk/examples/greeter/README.md", "In the local cloud"): (GREETER, "In the local cloud"),
    ("packages/restate-lambda-cdk/examples/greeter/README.md", "In Restate Cloud"): (GREETER, "In Restate Cloud"),
}
"""The file that runs the commands under a heading, and text in it that proves it. All others say "Not run here"."""


def read(page: str) -> str:
    return (ROOT / page).read_text()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_blocks(page: str) -> list[tuple[str, str, bool]]:
    """The heading above each block of commands, its commands, and whether the text before says that it is not run."""
    found: list[tuple[str, str, bool]] = []
    heading, before = "", ""
    for block, line in re.findall(r"^( *```.*?^ *```)$|^([^\n]*)$", read(page), re.DOTALL | re.MULTILINE):
        if re.match(r" *```(console|bash|sh|shell)\n", block):
            told = " ".join(before.strip().rpartition("\n\n")[2].lower().split())
            found.append((heading, block, "not run here" in told))
        if title := re.match(r"#{2,} (.+)", line):
            heading = title[1]
        before = "" if block or title else f"{before}{line}\n"
    return found


def test_the_readme_is_short_and_in_the_order_that_a_reader_needs() -> None:
    readme = read("README.md")
    of_the_services = "|".join(generated())  # one more service makes these longer
    written = re.sub(rf"(?s)<!-- ({of_the_services}):begin -->\n.*?(?=<!-- \1:end -->)", "", readme)

    assert len(written.splitlines()) < 198
    assert len(readme.splitlines()) < 250 or len(SERVICES) > len(KINDS)
    assert tuple(re.findall(r"^## (.+)$", readme, re.MULTILINE)) == ORDER


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_option_and_setting_that_a_page_names_exists(page: str) -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    code = [text for pair in re.findall(r"```\w*\n(.*?)```|`([^`]+)`", read(page), re.DOTALL) for text in pair]

    for text in code:
        for command in re.findall(r"(?:^|\$ |&& )make\s+(.+)", text, re.MULTILINE):
            words = re.split(r" (?:&&|#|\|)", command)[0].split()
            for word in words:
                name, is_option, _ = word.partition("=")
                if is_option:
                    assert re.search(rf"\$[{{({{]*{name}\b", makefile), word
                elif re.fullmatch(r"[a-z-]+", word) and not word.startswith("--"):
                    assert word in targets, f"make {command}"
        if not page.startswith("packages/"):
            for name in re.findall(r"(?<=-c )([a-z]\w+)=", text):
                assert name in {*NAMES, "environment"}, text


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_by_a_test_or_says_that_it_is_not(page: str) -> None:
    for heading, block, told in shell_blocks(page):
        if not told:
            assert (page, heading) in RUN_BY, f"{heading}: no test runs this, and RUN_BY does not name one\n{block}"


@pytest.mark.parametrize(("page", "heading"), RUN_BY)
def test_the_file_named_for_a_page_s_commands_runs_them(page: str, heading: str) -> None:
    test, evidence = RUN_BY[page, heading]

    assert heading in {heading for heading, *_ in shell_blocks(page)}
    assert evidence in read(test)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_contains_a_key_or_a_path_of_a_machine(page: str) -> None:
    assert not re.search(r"\bkey_[a-z0-9]|Bearer [^%$<…\"]|(?:/home|/root|/Users|/work|/tmp)/", read(page))


def texts() -> Iterator[str]:
    """Every string in the commands' sources, with … for each value in an f-string."""
    for folder in ("dependencies", "localcloud", "demo", "holiday_stack", "acceptance"):
        for path in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                    yield "".join(str(part) for part in parts)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
    yield from read("Makefile").splitlines()


def test_each_message_on_the_troubleshooting_page_is_in_the_code() -> None:
    first_column = re.findall(r"^\| (`.+?) \| .+ \| .+ \|$", read("docs/troubleshooting.md"), re.MULTILINE)
    shown = [message for cell in first_column for message in re.findall(r"`(.+?)`", cell)]
    known = [*texts()]

    assert len(shown) > 40
    patterns = {message: ".*".join(map(re.escape, message.split("…"))) for message in shown}
    assert [message for message, like in patterns.items() if not any(re.search(like, text) for text in known)] == []
