"""Flights: reserve, confirm, cancel. One object per trip, so the steps of a trip never overlap here.

Flights are reserved first and cancelled last, which makes this service the gate: one live trip per trip id, and one
booking per booking id, also when a request comes again so late that Restate has forgotten its idempotency key.
"""

import restate
from restate import ObjectContext, TerminalError

from holiday.bookings import Bookings
from holiday.logs import outcome
from holiday.models import Booking, Compensation, FlightReservation, Kept, simulate
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
    """Hold a flight for this trip, unless the trip has one, or this very booking was confirmed or cancelled before."""
    found = await bookings.look(ctx.key(), flight.id)
    if found.own == "confirmed":
        raise TerminalError("an earlier run of this request booked the trip", 409, {"reason": "booked before"})
    if found.own == "cancelled":
        raise TerminalError("an earlier run of this request was rolled back", 409, {"reason": "rolled back"})
    if found.own is None and found.another_is_live:
        raise TerminalError("the trip id is held by another reservation", 409, {"reason": "duplicate"})
    simulate(flight.run_type, "failFlightsReservation")
    await bookings.reserve(
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


@flights.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=Kept(Compensation))
async def cancel(ctx: ObjectContext, flight: Compensation) -> None:
    """Cancel the flight, held or not: it cannot be reserved after this."""
    await bookings.compensate(ctx.key(), flight, "cancelled")


handler = restate.app([flights])
