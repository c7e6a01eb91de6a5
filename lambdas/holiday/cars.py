"""Rental cars: reserve, confirm, cancel. One object per trip, so the steps of a trip never overlap here."""

import restate
from restate import ObjectContext

from holiday.bookings import Bookings
from holiday.logs import outcome
from holiday.models import Booking, CarReservation, Compensation, Kept, simulate
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, RETRY_UP_TO_A_MINUTE

cars = restate.VirtualObject(
    "cars",
    description="Holds, confirms and cancels rental cars. One object per trip.",
    ingress_private=True,
    invocation_context_managers=[outcome],
)
bookings = Bookings("CARS_TABLE_NAME")


@cars.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def reserve(ctx: ObjectContext, car: CarReservation) -> None:
    """Hold a car for this trip."""
    simulate(car.run_type, "failCarRentalReservation")
    await bookings.reserve(
        ctx.key(), car.id, "pending", rental=car.rental, rental_from=car.rental_from, rental_to=car.rental_to
    )


@cars.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def confirm(ctx: ObjectContext, car: Booking) -> None:
    """Confirm the car that is held."""
    simulate(car.run_type, "failCarRentalConfirmation")
    await bookings.confirm(ctx.key(), car.id)


@cars.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=Kept(Compensation))
async def cancel(ctx: ObjectContext, car: Compensation) -> None:
    """Cancel the car, held or not: it cannot be reserved after this."""
    await bookings.compensate(ctx.key(), car, "cancelled")


handler = restate.app([cars])
