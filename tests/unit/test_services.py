"""The rows of services.py against what each of them is about: whoever adds a service is told here what is missing.

The stack's own rows are held against these in tests/stack; that every booking is compensated in truth, in tests/saga.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from restate.handler import handler_from_callable

from demo.contract import CONTRACT
from demo.readme import left
from holiday import trips
from holiday.failures import BookingError
from holiday.services import RUN_TYPES, SERVICES, TripRequest
from holiday.simulation import simulate

LAMBDAS = Path(trips.__file__).parent
RESERVE = inspect.getsource(trips.reserve)
STEPS = [(name, step) for name, row in SERVICES.items() for step in row.steps]
BOOKING_ID = UUID("00000000-0000-0000-0000-000000000001")


def handler(name: str) -> Any:
    service, _, step = name.partition(".")
    return getattr(import_module(f"holiday.{service}"), step)


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
    assert len(RUN_TYPES) == len(STEPS) + 1, "a run type stands in two rows"


@pytest.mark.parametrize("run_type", CONTRACT)
def test_what_tests_expect_of_a_row_is_what_the_contract_says_of_the_original_three(run_type: str) -> None:
    found = left(run_type)

    assert tuple(found[name] for name in ("flights", "cars", "payments")) == CONTRACT[run_type]


@pytest.mark.parametrize("name", SERVICES)
def test_a_row_has_a_module_of_its_name_whose_object_has_just_the_row_s_handlers(name: str) -> None:
    served = getattr(import_module(f"holiday.{name}"), name)

    assert served.name == name
    assert set(served.handlers) == {*SERVICES[name].steps, SERVICES[name].compensation}


def test_a_module_with_an_object_has_a_row() -> None:
    modules = {path.stem for path in LAMBDAS.glob("*.py") if "restate.VirtualObject(" in path.read_text()}

    assert modules == set(SERVICES)


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_step_simulates_its_run_type(name: str, step: str) -> None:
    assert re.search(rf"simulate\(\w+\.run_type, {step}\)", inspect.getsource(handler(f"{name}.{step}")))


@pytest.mark.parametrize("name", SERVICES)
def test_trips_reserves_with_the_row_s_compensation_takes_every_other_step_and_names_the_booking(name: str) -> None:
    row = SERVICES[name]
    first, *others = row.steps

    assert f"saga.step({name}.{first}, {row.booking}, compensation={name}.{row.compensation})" in RESERVE
    assert [step for step in others if f"({name}.{step}, {row.booking}.booking)" not in RESERVE] == []
    assert f"{row.booking}={row.booking}" in RESERVE, "the notice does not name the booking"


def test_trips_takes_the_rows_in_their_order_and_no_service_without_a_row() -> None:
    reserved = re.findall(r"saga\.step\((\w+)\.", RESERVE)

    assert reserved == list(SERVICES)
    assert reserved[0] == "flights", "flights are the gate"


@pytest.mark.parametrize("name", SERVICES)
def test_the_sample_trip_has_all_that_a_service_is_asked_to_book(name: str) -> None:
    first, *_ = SERVICES[name].steps
    hint = handler_from_callable(handler(f"{name}.{first}")).handler_io.input_type
    assert hint and hint.annotation

    booking = TripRequest().booking(hint.annotation, BOOKING_ID)

    assert booking.attributes
    assert all(booking.attributes.values())


@pytest.mark.parametrize("run_type", RUN_TYPES)
def test_a_simulated_failure_is_one_of_its_own_step_only(run_type: str) -> None:
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


def test_only_what_a_later_step_confirms_is_spared_until_it_is_reserved() -> None:
    spared = {name: row.spared for name, row in SERVICES.items()}

    assert {"flights": "confirmed", "cars": "confirmed", "payments": "nothing"}.items() <= spared.items()
