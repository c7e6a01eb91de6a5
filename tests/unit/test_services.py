"""Compares the rows of services.py with the code. If you add a service, these tests tell you what is missing.

So nothing is imported at the top that a missing place would break. trips.py is parsed, so a step that is commented out
is missing. tests/stack compares the stack's rows with these, and tests/saga checks that bookings are compensated.
"""

import ast
import inspect
import re
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from restate.handler import handler_from_callable

from demo.contract import CONTRACT
from demo.readme import left
from holiday.failures import BookingError
from holiday.logs import outcome
from holiday.patterns import ISO_8601
from holiday.services import RUN_TYPES, SERVICES, TripRequest
from holiday.simulation import simulate
from tests.conftest import ROOT

LAMBDAS = ROOT / "lambdas" / "holiday"
TRIPS = ast.parse((LAMBDAS / "trips.py").read_text())
RESERVE = next(node for node in TRIPS.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "reserve")
CALLS = [ast.unparse(node) for node in ast.walk(RESERVE) if isinstance(node, ast.Call)]
STEPS = [(name, step) for name, row in SERVICES.items() for step in row.steps]
BOOKING_ID = UUID("00000000-0000-0000-0000-000000000001")


def module_of(name: str) -> ModuleType:
    if not (LAMBDAS / f"{name}.py").exists():
        pytest.fail(f"services.py has a row for {name!r}, but there is no lambdas/holiday/{name}.py")
    try:
        return import_module(f"holiday.{name}")
    except KeyError as error:
        pytest.fail(f"lambdas/holiday/{name}.py uses a row that services.py lacks: {error}")
    except ImportError as error:
        pytest.fail(f"lambdas/holiday/{name}.py cannot be imported: {error}")


def handler(name: str) -> Any:
    service, _, step = name.partition(".")
    if not (found := getattr(module_of(service), step, None)):
        pytest.fail(f"lambdas/holiday/{service}.py has no handler {step!r}, but its row in services.py names it")
    return found


def struct_of(name: str) -> Any:
    """The message of a service's first step."""
    hint = handler_from_callable(handler(f"{name}.{next(iter(SERVICES[name].steps))}")).handler_io.input_type
    assert hint and hint.annotation
    return hint.annotation


def times_of(name: str) -> list[str]:
    """The fields of a service's first message that are times."""
    sample = {field: getattr(TripRequest(), field, "") for field in struct_of(name).__struct_fields__}
    return [field for field, value in sample.items() if re.search(ISO_8601, str(value))]


def test_the_run_types_of_the_contract_fail_the_steps_of_the_contract() -> None:
    contract = {
        "failFlightsReservation": "flights.reserve",
        "failFlightsConfirmation": "flights.confirm",
        "failCarRentalReservation": "cars.reserve",
        "failCarRentalConfirmation": "cars.confirm",
        "failPayment": "payments.process",
        "failNotification": "trips.notify",
    }

    assert contract.items() <= RUN_TYPES.items()
    assert len(RUN_TYPES) == len(STEPS) + 1, "a run type is in two rows"


@pytest.mark.parametrize("run_type", CONTRACT)
def test_what_tests_derive_from_the_rows_agrees_with_the_contract_of_the_original_three(run_type: str) -> None:
    found = left(run_type)

    assert tuple(found[name] for name in ("flights", "cars", "payments")) == CONTRACT[run_type]


@pytest.mark.parametrize("name", SERVICES)
def test_a_row_has_a_module_whose_object_has_exactly_the_row_s_handlers(name: str) -> None:
    served = getattr(module_of(name), name)

    assert served.name == name
    named = {*SERVICES[name].steps, SERVICES[name].compensation}
    for each in named:
        handler(f"{name}.{each}")
    assert set(served.handlers) == named, f"handlers of {name}"


@pytest.mark.parametrize("name", SERVICES)
def test_a_module_books_under_its_own_row_and_logs_how_each_handler_ends(name: str) -> None:
    module = module_of(name)

    if module.bookings.service != SERVICES[name]:
        pytest.fail(f'lambdas/holiday/{name}.py does not use its own row: bookings = Bookings(SERVICES["{name}"])')
    handlers = getattr(module, name).handlers.items()
    if without := [each for each, found in handlers if outcome not in (found.context_managers or [])]:
        pytest.fail(f"{name}.{', '.join(without)}: no line is logged, so no alarm fires: it lacks [outcome]")


def test_a_module_with_an_object_has_a_row() -> None:
    modules = {path.stem for path in LAMBDAS.glob("*.py") if "restate.VirtualObject(" in path.read_text()}

    if without := modules - set(SERVICES):
        pytest.fail(f"services.py has no row for {', '.join(sorted(without))}, but lambdas/holiday has a module for it")


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_step_simulates_its_run_type(name: str, step: str) -> None:
    body = ast.unparse(ast.parse(inspect.getsource(handler(f"{name}.{step}"))))

    if not re.search(rf"^    simulate\(\w+\.run_type, {step}\)$", body, re.MULTILINE):
        pytest.fail(
            f"{name}.{step} does not call simulate(….run_type, {step}), so {SERVICES[name].steps[step]} has no effect"
        )


@pytest.mark.parametrize("name", SERVICES)
def test_trips_imports_the_service_and_creates_the_booking_s_id(name: str) -> None:
    imported = [each.name for node in TRIPS.body if isinstance(node, ast.ImportFrom) for each in node.names]
    booking = SERVICES[name].booking
    made = rf"^{booking} = trip\.booking\({name}\.\w+, ctx\.uuid\(\)\)$"

    if name not in imported:
        pytest.fail(f"trips.py does not import {name}")
    if not any(re.search(made, ast.unparse(line)) for line in RESERVE.body):
        pytest.fail(f"trips.reserve has no line `{booking} = trip.booking({name}.…, ctx.uuid())`")


@pytest.mark.parametrize("name", SERVICES)
def test_trips_calls_every_step_with_the_row_s_compensation_and_names_the_booking(name: str) -> None:
    row = SERVICES[name]
    first, *others = row.steps
    step = f"saga.step({name}.{first}, {row.booking}, compensation={name}.{row.compensation})"

    if step not in CALLS:
        pytest.fail(f"trips.reserve lacks the step of {name}: `await {step}`")
    side_by_side = "".join(call for call in CALLS if call.startswith("saga.side_by_side("))
    for other in others:
        if (later := f"({name}.{other}, {row.booking}.booking)") not in side_by_side:
            pytest.fail(f"saga.side_by_side in trips.reserve lacks the step of {name}: `{later}`")
    if not any(call.startswith("Notice.about(") and f" {row.booking}={row.booking}" in call for call in CALLS):
        pytest.fail(f"Notice.about in trips.reserve lacks `{row.booking}={row.booking}`: no notice names the booking")


def test_trips_calls_the_services_in_the_order_of_the_rows_and_none_without_a_row() -> None:
    steps = [ast.unparse(line) for line in ast.walk(RESERVE) if isinstance(line, ast.Expr)]
    reserved = [found[1] for step in steps if (found := re.match(r"await saga\.step\((\w+)\.", step))]

    assert reserved == list(SERVICES), "the steps of trips.reserve, and the rows of services.py"
    assert reserved[0] == "flights", "flights are the gate"


@pytest.mark.parametrize("name", SERVICES)
def test_a_request_has_every_field_that_a_service_books(name: str) -> None:
    own = [field for field in struct_of(name).__struct_fields__ if field != "id"]

    if missing := [field for field in own if not hasattr(TripRequest, field)]:
        pytest.fail(f"TripRequest in services.py has no field {', '.join(missing)}, which {name} is asked to book")


@pytest.mark.parametrize("name", SERVICES)
def test_the_sample_trip_has_every_field_that_a_service_books(name: str) -> None:
    booking = TripRequest().booking(struct_of(name), BOOKING_ID)

    assert booking.attributes
    assert all(booking.attributes.values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_booking_may_not_end_before_it_begins(name: str) -> None:
    times = times_of(name)

    for start, end in list(pairwise(times))[::2]:
        if not refused(**{start: "2021-07-10T00:00:00Z", end: "2021-07-09T00:00:00Z"}):
            pytest.fail(f'TripRequest lacks `check_order(self, "{start}", "{end}")`: {name} could end before it begins')
    for time in times:
        if not refused(**{time: "soon"}):
            pytest.fail(
                f"TripRequest accepts an invalid {time!r} for {name}: it does not call check_order for that field"
            )


def refused(**request: str) -> bool:
    try:
        TripRequest(**request)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_run_type_fails_only_its_own_step(run_type: str) -> None:
    for step in RUN_TYPES.values():
        if step == RUN_TYPES[run_type]:
            with pytest.raises(BookingError) as failure:
                simulate(run_type, handler(step))
            assert (failure.value.status_code, failure.value.metadata) == (422, {"reason": "simulated"})
        else:
            simulate(run_type, handler(step))


def test_a_run_type_of_a_newer_version_fails_no_step() -> None:
    for step in RUN_TYPES.values():
        simulate("failSpaceTravel", handler(step))


def test_a_first_step_confirms_only_if_no_later_step_does() -> None:
    reserved = {name: row.reserved for name, row in SERVICES.items()}

    assert {"flights": "pending", "cars": "pending", "payments": "confirmed"}.items() <= reserved.items()


def test_only_a_booking_that_a_later_step_confirms_is_spared_until_it_is_reserved() -> None:
    spared = {name: row.spared for name, row in SERVICES.items()}

    assert {"flights": "confirmed", "cars": "confirmed", "payments": "nothing"}.items() <= spared.items()
