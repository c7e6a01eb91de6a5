"""What Restate discovers about each handler at registration: input, retries, retention, concurrency."""

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast

import httpx
import pytest
from restate.handler import handler_from_callable

from holiday import trips
from holiday.messages import Booking
from holiday.notices import Notice
from holiday.serde import Unreadable
from holiday.services import RUN_TYPES, SERVICES, TripRequest
from holiday.trip_request import ReserveRequest, ReserveRequestSerde

MODULES: dict[str, Any] = {name: import_module(f"holiday.{name}") for name in SERVICES} | {"trips": trips}
APPS = {name: module.handler for name, module in MODULES.items()}

FORWARD, CALLER, PROMISE = "a forward step", "what a caller waits for", "what has to happen, however late"
HANDLERS = {
    **{f"{name}.{step}": FORWARD for name, row in SERVICES.items() for step in row.steps},
    **{f"{name}.{row.compensation}": PROMISE for name, row in SERVICES.items()},
    "trips.reserve": CALLER,
    "trips.notify": PROMISE,
}
LONGEST_INTERVAL = {FORWARD: 10_000, CALLER: 10_000, PROMISE: 60_000}
WITHOUT_END = 1_000_000
"""At the longest interval these attempts take months, so the last one is never reached."""


async def discovered(app: Any) -> dict[str, Any]:
    accept = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://services") as client:
        return (await client.get("/discover", headers=accept)).raise_for_status().json()


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    """Every handler of the four functions, with the service's settings overridden by its own."""
    services = [service for app in APPS.values() for service in asyncio.run(discovered(app))["services"]]
    return {
        f"{service['name']}.{handler['name']}": service | handler
        for service in services
        for handler in service["handlers"]
    }


def test_each_function_serves_its_own_service_and_these_tests_know_every_handler(
    manifest: dict[str, dict[str, Any]],
) -> None:
    served = {
        name: [service["name"] for service in asyncio.run(discovered(app))["services"]] for name, app in APPS.items()
    }

    assert served == {name: [name] for name in APPS}
    assert set(manifest) == set(HANDLERS)


def test_callers_may_only_reserve_trips_so_nobody_books_around_the_saga(manifest: dict[str, dict[str, Any]]) -> None:
    assert [name for name, handler in manifest.items() if not handler.get("ingressPrivate")] == ["trips.reserve"]


@pytest.mark.parametrize("name", HANDLERS)
def test_only_forward_steps_are_given_up_after_8_attempts(manifest: dict[str, dict[str, Any]], name: str) -> None:
    policy = manifest[name]

    if HANDLERS[name] == FORWARD:
        assert (policy["retryPolicyMaxAttempts"], policy["retryPolicyOnMaxAttempts"]) == (8, "KILL")
    else:
        assert policy["retryPolicyMaxAttempts"] >= WITHOUT_END


@pytest.mark.parametrize("name", HANDLERS)
def test_retry_intervals_start_short_and_grow_to_a_maximum(manifest: dict[str, dict[str, Any]], name: str) -> None:
    policy = manifest[name]

    assert policy["retryPolicyInitialInterval"] <= 2_000
    assert policy["retryPolicyExponentiationFactor"] > 1
    assert policy["retryPolicyMaxInterval"] <= LONGEST_INTERVAL[HANDLERS[name]]


def test_idempotency_keys_and_journals_are_kept_for_a_day_whatever_the_server_s_default(
    manifest: dict[str, dict[str, Any]],
) -> None:
    day = 24 * 60 * 60 * 1000

    assert manifest["trips.reserve"]["idempotencyRetention"] == day
    assert {name: handler.get("journalRetention") for name, handler in manifest.items()} == dict.fromkeys(HANDLERS, day)


@pytest.mark.parametrize("name", [name for name, kind in HANDLERS.items() if kind == PROMISE])
def test_handlers_that_must_succeed_keep_unreadable_messages(name: str) -> None:
    service, handler = name.split(".")
    serde = handler_from_callable(getattr(MODULES[service], handler)).handler_io.input_serde

    assert isinstance(serde.deserialize(b'{"of": "another version"}'), Unreadable)


def described(name: str, schema: Any) -> Iterator[tuple[str, bool]]:
    """Whether each field of a JSON schema has a description."""
    if isinstance(schema, dict):
        for key, value in cast(dict[str, Any], schema).items():
            if key in ("properties", "patternProperties"):
                yield from ((f"{name}.{field}", "description" in about) for field, about in value.items())
            yield from described(name, value)


@pytest.mark.parametrize("name", HANDLERS)
def test_each_field_has_a_description(manifest: dict[str, dict[str, Any]], name: str) -> None:
    schemas = [manifest[name][way]["jsonSchema"] for way in ("input", "output") if "jsonSchema" in manifest[name][way]]
    fields = dict(pair for schema in schemas for pair in described(name, schema))

    # the request itself is described at its definition
    assert [field for field, has_one in fields.items() if not has_one] == (
        ["trips.reserve.request"] if name == "trips.reserve" else []
    )
    assert fields


def test_the_schema_lists_all_run_types(manifest: dict[str, dict[str, Any]]) -> None:
    fields = manifest["trips.reserve"]["input"]["jsonSchema"]["$defs"]["TripRequest"]["properties"]

    assert (fields["run_type"]["type"], fields["run_type"]["enum"]) == ("string", [*RUN_TYPES])
    assert fields["run_type"]["description"]


def test_the_playground_s_prefilled_request_is_the_sample_trip(manifest: dict[str, dict[str, Any]]) -> None:
    [example] = manifest["trips.reserve"]["input"]["jsonSchema"]["examples"]

    assert ReserveRequestSerde().deserialize(json.dumps(example).encode()) == ReserveRequest()
    # so the caller can change each field. A trip id could be booked only once, and a run type would fail
    assert example["request"].keys() == set(TripRequest.__struct_fields__) - {"trip_id", "run_type"}


def test_a_notice_matches_its_schema(manifest: dict[str, dict[str, Any]]) -> None:
    schema = manifest["trips.notify"]["input"]["jsonSchema"]["$defs"]["Notice"]
    flight = Booking("f-1")
    notice = json.loads(Notice.about("t-1", "inv_1", flight=flight).of_success().to_json())

    assert notice.keys() == {*schema["properties"], "flight_id"}
    assert [*schema["patternProperties"]] == ["_id$"]
    assert set(schema["required"]) <= notice.keys()


def test_the_steps_of_one_trip_never_overlap_in_a_service(manifest: dict[str, dict[str, Any]]) -> None:
    kinds = {name: handler["ty"] for name, handler in manifest.items() if not name.startswith("trips.")}

    assert kinds == dict.fromkeys(kinds, "EXCLUSIVE")
