"""Rental cars: reserve, confirm, cancel. One object per trip, so the steps of a trip never overlap here."""

from typing import Annotated

import restate
from msgspec import Meta
from restate import ObjectContext

from holiday.bookings import Bookings
from holiday.logs import outcome
from holiday.messages import Booking, Compensation
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, KEEP_FOR, RETRY_UP_TO_A_MINUTE
from holiday.serde import RetainedSerde
from holiday.services import SERVICES
from holiday.simulation import simulate


class Car(Booking, frozen=True, kw_only=True):
    """What `reserve` books, under a booking id that trips generated."""

    rental: Annotated[str, Meta(description="The car.")]
    rental_from: Annotated[str, Meta(description="When the rental begins.")]
    rental_to: Annotated[str, Meta(description="When the rental ends.")]


cars = restate.VirtualObject(
    "cars",
    description="Reserves, confirms and cancels rental cars. One object per trip.",
    ingress_private=True,
    journal_retention=KEEP_FOR,
    invocation_context_managers=[outcome],
)
bookings = Bookings(SERVICES["cars"])


@cars.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def reserve(ctx: ObjectContext, car: Car) -> None:
    """Reserve a car for this trip."""
    simulate(car.run_type, reserve)
    await bookings.reserve(ctx.key(), car)


@cars.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def confirm(ctx: ObjectContext, car: Booking) -> None:
    """Confirm the reserved car."""
    simulate(car.run_type, confirm)
    await bookings.confirm(ctx.key(), car.id)


@cars.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=RetainedSerde(Compensation))
async def cancel(ctx: ObjectContext, car: Compensation) -> None:
    """Cancel the car, whether or not it was reserved: it cannot be reserved afterwards."""
    await bookings.compensate(ctx.key(), car)


handler = restate.app([cars])
