"""The schema that Restate serves for `trips/reserve` allows exactly what the handler accepts, for generated requests.

A schema cannot require that an end is not before its start. The fields' descriptions say so; `in_order` checks it.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from holiday.services import RUN_TYPES, TripRequest
from holiday.trip_request import Invalid, ReserveRequestSerde
from tests.driver import Holiday

pytestmark = pytest.mark.slow

IsValid = Callable[[Any], bool]
RESERVE = "/restate/call/trips/reserve"
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
ENDS = {"arrive_time": "depart_time", "rental_to": "rental_from"}

CHARACTERS = st.sampled_from(
    "aé ✈東\u00a0\u3000\n\t\x7f\x85\u00ad\u061c\u180b\u200b\u200c\u200d\u200e\u2028\u202f\u2800"
    "\ufe0f\ufeff\ufff8\ufffd\ufffe\U000110bd\U00013430\U0001f469\U0001fffd\U0001fffe\U000e0001\U000e0100\U000e01ef\U000e01f0\U0010fffd\U0010ffff"
) | st.characters(exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=4) | st.integers(126, 202).map(lambda size: "✈" * size)
DATES = (
    "2021-07-08 20210708 2024-02-29 20240229 2000-02-29 9999-12-31 0001-01-01 0000-01-01 1900-02-29 2023-02-29 "
    "20230229 2021-02-30 20210431 2021-06-31 2021-13-01 2021-00-10 2021-01-00 2021-0708 202107-08 2021-W27-4 21-07-08"
)
TIMES = (
    " T T06 T0630 T06:30 T06:30:15 T063015 T06:30:15.5 T063015,123456789 T23:59:59 T24:00 T06:60 T06:30:60 T6 T06,5"
    " T06:30.5 T06:3015 T06:30: T06:30:15. t06:30"
)
OFFSETS = " Z z +01 -01 +0100 +01:00 -23:59 +24:00 +01:60 +01:00:00 +1 Z+01"
MOMENTS = st.tuples(
    st.sampled_from(DATES.split()),
    st.sampled_from(TIMES.split(" ")),
    st.sampled_from(OFFSETS.split(" ")),
    st.sampled_from(["", "", "", "", "\n", " ", "٣", "Z"]),
).map("".join)
VALUES = {"trip_id": TEXTS, "run_type": st.sampled_from([*RUN_TYPES, "success", "failpayment", ""])} | {
    field: MOMENTS if field in [*ENDS, *ENDS.values()] else TEXTS
    for field in TripRequest.__struct_fields__
    if field not in ("trip_id", "run_type")
}
NEAR_MISSES = st.fixed_dictionaries({}, optional={"request": st.fixed_dictionaries({}, optional=VALUES)})


@pytest.fixture
def document(in_one_process: Holiday) -> dict[str, Any]:
    url = f"{in_one_process.cloud.admin_url}/services/trips/openapi"
    return httpx.get(url, trust_env=False).raise_for_status().json()


@pytest.fixture
def is_valid(document: dict[str, Any]) -> IsValid:
    """Whether the schema allows a body, according to a third-party validator."""
    [media] = document["paths"][RESERVE]["post"]["requestBody"]["content"].values()
    return (
        import_module("jsonschema_rs").validator_for(media["schema"] | {"components": document["components"]}).is_valid
    )


def in_order(body: dict[str, Any]) -> bool:
    def moment(field: str) -> datetime:
        found = datetime.fromisoformat(body.get("request", {}).get(field) or getattr(TripRequest(), field))
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    return all(moment(start) <= moment(end) for end, start in ENDS.items())


def read(content: bytes) -> Any:
    """The parsed JSON, or a value that no schema allows."""
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_a_request_is_accepted_if_and_only_if_the_schema_allows_it(
    in_one_process: Holiday, document: dict[str, Any], is_valid: IsValid, mode: str
) -> None:
    schemathesis, nothing = import_module("schemathesis"), import_module("schemathesis.core").NOT_SET
    outcomes = Counter[bool]()
    operation = schemathesis.openapi.from_dict(document)[RESERVE]["POST"]

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=SLOW)
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    def check(case: Any) -> None:
        assume(case.body is not nothing)  # a missing body is not an empty body: docs/errors.md
        content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
        body = read(content)

        answer = in_one_process.http.post(RESERVE, content=content, headers={"content-type": "application/json"})

        allowed = is_valid(body) and in_order(body)
        outcomes[allowed] += 1
        assert answer.status_code in ((200, 409, 422) if allowed else (400,)), answer.text
        if not allowed:
            metadata = answer.json()["metadata"]
            assert (metadata.keys(), metadata["reason"]) == ({"reason", "hint"}, "invalid")

    check()

    assert outcomes[mode == "POSITIVE"] > 50


def test_the_schema_and_the_handler_agree_on_edge_cases(is_valid: IsValid) -> None:
    serde, outcomes = ReserveRequestSerde(), Counter[bool]()

    @settings(max_examples=2000, deadline=None, database=None)
    @given(NEAR_MISSES)
    def check(body: dict[str, Any]) -> None:
        allowed = is_valid(body) and in_order(body)
        outcomes[allowed] += 1
        found = serde.deserialize(json.dumps(body).encode())
        assert allowed is not isinstance(found, Invalid), found

    check()

    assert min(outcomes.values()) > 20, "about one in twenty should be allowed"
