"""Restate's own UI in a real browser: its playground, and the journal of a failed trip.

The journal is the README's picture. To update it, run `make .venv/bench`, then
`pytest tests/saga/test_ui.py --snapshot-update`.
"""

import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.driver import TIMEOUT, Holiday
from tests.expectations import statuses

pytestmark = pytest.mark.slow

PICTURE = ROOT / "docs" / "failed-trip.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = (
    f"No browser found: neither Playwright's own nor {', '.join(BROWSERS)} on PATH. "
    "Install one: `.venv/bin/playwright install chromium`, or on Debian `apt install chromium`."
)


@pytest.fixture
def page() -> Iterator[Any]:
    """A browser page that can reach only this machine."""
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        browser = own if Path(own).exists() else next(filter(None, map(shutil.which, BROWSERS)), None)
        if not browser:
            pytest.fail(NO_BROWSER)
        with playwright.chromium.launch(executable_path=browser, args=["--no-proxy-server"]) as launched:
            page = launched.new_page(viewport={"width": 1640, "height": 1200})
            page.set_default_timeout(TIMEOUT * 1000)
            page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), abort)
            yield page


def abort(route: Any) -> None:
    route.abort()


def is_a_reservation(response: Any) -> bool:
    return response.request.method == "POST" and "trips/reserve" in response.url


def test_the_playground_s_prefilled_request_books_a_trip_each_time(page: Any, in_one_process: Holiday) -> None:
    # given the playground's page for `trips/reserve`, which describes each field
    page.goto(f"{in_one_process.cloud.admin_url}/ui/overview?servicePlayground=trips")
    page.get_by_text("reserve", exact=True).first.click()
    for text in ("Simulates a failure at one step", "failCarRentalConfirmation", "Not before"):
        page.get_by_text(text).first.wait_for()

    # when the prefilled request is sent twice
    trip_ids: list[str] = []
    for _ in range(2):
        with page.expect_response(is_a_reservation) as sent:
            page.get_by_role("button", name="Send API Request").click()
        assert sent.value.status == 200, sent.value.text()
        trip_ids.append(sent.value.json()["trip_id"])
        page.get_by_text(trip_ids[-1]).first.wait_for()

    # then two trips are booked
    assert len(set(trip_ids)) == 2
    assert [in_one_process.statuses(trip_id) for trip_id in trip_ids] == [statuses("success")] * 2


def test_the_journal_of_a_failed_trip_shows_each_step_and_each_compensation(
    page: Any, in_one_process: Holiday, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    response = in_one_process.reserve({"trip_id": "oslo", "run_type": "failPayment"})
    assert response.status_code == 422

    page.goto(f"{in_one_process.cloud.admin_url}/ui/invocations/{in_one_process.invocation_of(response)}")
    for text in ("reserve", "payments.refund, cars.cancel, flights.cancel", "refund", "cancel", "notify", "throws"):
        page.get_by_text(text).last.wait_for()

    error, end = (page.get_by_text(text).last.bounding_box() for text in ("An error has occurred", "retention ends in"))
    clip = {"x": error["x"] - 65, "y": error["y"] - 25, "width": 1355, "height": end["y"] - error["y"] + 55}
    picture = PICTURE if request.config.getoption("update_snapshots") else tmp_path / PICTURE.name
    page.screenshot(path=picture, clip=clip)
    assert picture.stat().st_size < 200_000
