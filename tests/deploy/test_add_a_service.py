"""Applies the code blocks of docs/add-a-service.md to a copy of the sources, which adds a hotel to the holiday.

Then the copy's own tests run. They know the hotel only from its row.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.variants import apply
from tests.expectations import of_the_original_three

pytestmark = of_the_original_three
ROOT = Path(__file__).parents[2]
OF_THE_STACK = tuple(
    f"tests/stack/test_{subject}.py" for subject in ("stack", "permissions", "registrations", "policies")
)
FIRST = "tests/unit/test_services.py"
MISSING = (
    "services.py has no row for hotels",
    "TripRequest in services.py has no field hotel, check_in, check_out",
    'TripRequest lacks `check_order(self, "check_in", "check_out")`',
    "services.py has a row for 'hotels', but there is no lambdas/holiday/hotels.py",
    "trips.py does not import hotels",
    "trips.reserve has no line `hotel = trip.booking(hotels.…, ctx.uuid())`",
    "Notice.about in trips.reserve lacks `hotel=hotel`",
    "trips.reserve lacks the step of hotels: `await saga.step(hotels.reserve, hotel, compensation=hotels.cancel)`",
    "saga.side_by_side in trips.reserve lacks the step of hotels: `(hotels.confirm, hotel.booking)`",
    "BOOKED in holiday_stack/stack.py has no row for 'hotels'",
)
"""For each of the ten places, the failure that names it when it is missing."""
COMPENSATED = "hotels.reserve, hotel, compensation=hotels.cancel"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *arguments]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=True).stdout


def run_tests(folder: Path, *what: str) -> tuple[int, str]:
    """Run the copy's tests on its own sources."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *what]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout as a separate repository, with the packages installed here."""
    files = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(lambda name: (ROOT / name).is_file(), files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "The holiday as it is")
    for name in (".venv", "node_modules"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "libraries").symlink_to(ROOT / ".local" / "libraries")
    return tmp_path


@pytest.fixture
def with_hotels(checkout: Path) -> Path:
    apply(checkout)
    return checkout


def test_a_hotel_is_four_files_and_ten_places(with_hotels: Path) -> None:
    git(with_hotels, "add", "--intent-to-add", "lambdas", "holiday_stack")

    lines = git(with_hotels, "diff", "-U0").splitlines()

    assert sum(line.startswith("+++ ") for line in lines) == 4
    assert sum(line.startswith("@@ ") for line in lines) == 10


@pytest.mark.slow
def test_each_missing_place_fails_a_test_that_names_it(with_hotels: Path) -> None:
    # given the ten places
    git(with_hotels, "add", "lambdas", "holiday_stack")
    git(with_hotels, "commit", "--quiet", "--message", "A hotel")
    places = [
        f"{head}{place}"
        for file in re.split("(?m)^(?=diff --git)", git(with_hotels, "diff", "-U0", "HEAD~"))[1:]
        for head, *hunks in [re.split("(?m)^(?=@@ )", file)]
        for place in hunks
    ]
    found: list[str] = []

    # when one of them is removed, then a test fails with one sentence that names it
    for place in places:
        subprocess.run(
            ["git", "apply", "--reverse", "--unidiff-zero", "-"], cwd=with_hotels, input=place, text=True, check=True
        )
        of_the_stack = "+++ b/holiday_stack" in place
        status, said = run_tests(with_hotels, "tests/stack/test_stack.py" if of_the_stack else FIRST)
        assert status == 1, f"{place}\n{said}"  # not 2, which would be a collection error
        named = [sentence for sentence in MISSING if f"Failed: {sentence}" in said]
        assert len(named) == 1, f"{place}\n{said}"
        found += named
        git(with_hotels, "reset", "--hard", "--quiet")
    assert sorted(found) == sorted(MISSING)


@pytest.mark.slow
def test_with_the_hotel_every_run_type_and_every_fault_plan_passes(with_hotels: Path) -> None:
    variables = os.environ | {"PYTHONPATH": str(with_hotels / "lambdas")}
    subprocess.run([sys.executable, "-m", "demo.readme"], cwd=with_hotels, env=variables, check=True)

    status, said = run_tests(
        with_hotels,
        *OF_THE_STACK,
        "tests/unit",
        "tests/saga",
        "tests/deploy/test_deploy.py",
        "tests/faults/test_plans.py",
        # what an operator sees of it
        *(f"tests/deploy/test_{subject}.py" for subject in ("calling", "operations", "rows")),
        "tests/faults/test_callers_and_operators.py",
        "tests/acceptance/test_acceptance.py",
    )

    assert status == 0, said


@pytest.mark.slow
def test_a_missing_compensation_is_found_by_the_rows_that_it_leaves(with_hotels: Path) -> None:
    # given a saga whose compensation leaves the hotel's reservation in place
    trips = with_hotels / "lambdas/holiday/trips.py"
    assert trips.read_text().count(COMPENSATED) == 1
    trips.write_text(trips.read_text().replace(COMPENSATED, COMPENSATED.replace("hotels.cancel", "cars.cancel")))

    status, said = run_tests(with_hotels, "tests/saga/test_reserve.py", "-k", "failNotification and in_one_process")

    assert (status, "'Hotels': ['confirmed']" in said) == (1, True), said
