"""Flights: reserve, confirm, cancel. One object per trip, so the steps of a trip never overlap here.

Flights are reserved first and cancelled last, which makes this service the gate: one live trip per trip id.
"""

import restate
from restate import ObjectContext, TerminalError

from holiday.bookings import Bookings
from holiday.logs import outcome
from holiday.models import Booking, FlightReservation, simulate
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, RETRY_UP_TO_A_MINUTE

flights = restate.VirtualObject(
    "flights",
    description="Holds, confirms and cancels flights. One object per trip, one live flight per trip.",
    ingress_private=True,
    invocation_context_managers=[outcome],
)
bookings = Bookings("FLIGHTS_TABLE_NAME")


@flights.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def reserve(ctx: ObjectContext, flight: FlightReservation) -> None:
    """Hold a flight for this trip, unless the trip already has one under another booking id."""
    if await bookings.held_by_another(ctx.key(), flight.id):
        raise TerminalError(f"trip {ctx.key()} is already held", 409, {"reason": "duplicate"})
    simulate(flight.run_type, "failFlightsReservation")
    await bookings.take(
        ctx.key(),
        flight.id,
        "pending",
        depart_city=flight.depart_city,
        depart_time=flight.depart_time,
        arrive_city=flight.arrive_city,
        arrive_time=flight.arrive_time,
    )


@flights.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def confirm(ctx: ObjectContext, flight: Booking) -> None:
    """Confirm the flight that is held."""
    simulate(flight.run_type, "failFlightsConfirmation")
    await bookings.confirm(ctx.key(), flight.id)


@flights.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE)
async def cancel(ctx: ObjectContext, flight: Booking) -> None:
    """Cancel the flight, held or not: it cannot be taken after this."""
    await bookings.undo(ctx.key(), flight.id, "cancelled")


handler = restate.app([flights])
