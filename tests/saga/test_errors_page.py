"""docs/errors.md shows the real answers, which Restate's OpenAPI document cannot list."""

import json
import re
from concurrent.futures import ThreadPoolExecutor, wait
from typing import get_args

import httpx
import pytest

from holiday.failures import Reason
from tests.conftest import ROOT
from tests.driver import Holiday, eventually
from tests.faults.invariant import NEVER_BEGAN

PAGE = (ROOT / "docs" / "errors.md").read_text()
BLOCKS = PAGE.split("```json\n")[1:]
REQUESTS_AND_ANSWERS = [json.loads(block.partition("```")[0]) for block in BLOCKS]


def test_the_page_shows_the_real_answers(in_one_process: Holiday) -> None:
    assert in_one_process.reserve({"trip_id": "bergen"}).status_code == 200

    for request, answer in zip(REQUESTS_AND_ANSWERS[::2], REQUESTS_AND_ANSWERS[1::2], strict=True):
        response = in_one_process.reserve(**request)
        assert (response.status_code, response.json()) == (answer["code"], answer)
    in_one_process.settle()


def test_the_page_has_every_reason_and_an_example_of_each_status() -> None:
    """A trip that this request has booked before is not an error."""
    table = re.findall(r"^\| (\d+) \| (.+?) \| .+ \| (.+) \|$", PAGE, re.MULTILINE)
    names = {status: set(re.findall(r"`(\w+)`", others)) for status, _, others in table}

    reasons = [reason for _, named, _ in table for reason in re.findall(r"`(.+?)`", named)]
    assert sorted(reasons) == sorted({*get_args(Reason)} - {"booked before"})

    shown = {str(answer["code"]): answer["metadata"] for answer in REQUESTS_AND_ANSWERS[1::2]}
    assert shown.keys() == names.keys()
    assert all(others <= shown[status].keys() for status, others in names.items())


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body"),
    [
        ("POST", "/trips/reserve", "text/plain", "{}"),
        ("POST", "/trips/reserve", "application/json", ""),
        ("POST", "/flights/oslo/reserve", "application/json", "{}"),
        ("POST", "/trips/notify", "application/json", "{}"),
        ("POST", "/trips", "application/json", "{}"),
        ("POST", "/hotels/oslo/reserve", "application/json", "{}"),
        ("POST", "/trips/book", "application/json", "{}"),
        ("PUT", "/trips/reserve", "application/json", "{}"),
        ("POST", "/trips/reserve", "application/json", "{}".ljust(1_000_001)),
    ],
)
def test_the_page_has_restates_own_answers(
    in_one_process: Holiday, method: str, path: str, content_type: str, body: str
) -> None:
    response = in_one_process.http.request(method, path, content=body, headers={"content-type": content_type})

    answer = response.json() if response.status_code != 413 else {"message": response.text, "source": "ingress"}
    assert (answer["source"], "metadata" in answer) == ("ingress", False)
    rows = re.findall(r"^\| (\d+) \| (.+?) \| .+ \|$", PAGE.split("## Restate's own errors")[1], re.MULTILINE)
    said = [(status, message) for status, messages in rows for message in re.findall(r"`(.+?)(?:…)?`", messages)]
    assert [status for status, message in said if answer["message"].startswith(message)] == [str(response.status_code)]


def test_a_trip_cancelled_before_it_began_is_canceled_for_waiting_callers_and_then_not_found(
    in_one_process: Holiday,
) -> None:
    def cancelled_while_a_caller_waits() -> str:
        invocation = in_one_process.send(delay="1h")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(in_one_process.answer, invocation)
            wait([waiting], timeout=0.3)  # nothing shows that Restate has the request: if it came too late, try again
            in_one_process.cloud.admin.operate("cancel", invocation)
            told = waiting.result().text
        assert in_one_process.answer(invocation).text == NEVER_BEGAN[1]
        return told

    assert eventually(cancelled_while_a_caller_waits, lambda told: told != NEVER_BEGAN[1]) == NEVER_BEGAN[0]


def test_restate_describes_one_error_for_all_statuses(in_one_process: Holiday) -> None:
    """When this fails, the errors can move into the schema."""
    url = f"{in_one_process.cloud.admin_url}/services/trips/openapi"
    operation = (
        httpx.get(url, trust_env=False).raise_for_status().json()["paths"]["/restate/call/trips/reserve"]["post"]
    )

    assert set(operation["responses"]) == {"200", "default"}
    assert operation["responses"]["default"] == {"$ref": "#/components/responses/GenericError"}
    assert all(status in operation["description"] for status in ("400", "409", "422"))
