"""Flights: reserve, confirm, cancel. One object per trip, so the steps of a trip never overlap here.

Flights are reserved first and cancelled last, which makes this service the gate: one live trip per trip id, and one
booking per booking id, even if a request is repeated after its idempotency key has expired.
"""

from typing import Annotated

import restate
from msgspec import Meta
from restate import ObjectContext

from holiday.bookings import Bookings
from holiday.failures import BookingError
from holiday.logs import outcome
from holiday.messages import Booking, Compensation
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, KEEP_FOR, RETRY_UP_TO_A_MINUTE
from holiday.serde import RetainedSerde
from holiday.services import SERVICES
from holiday.simulation import simulate


class Flight(Booking, frozen=True, kw_only=True):
    """What `reserve` books, under a booking id that trips generated."""

    depart_city: Annotated[str, Meta(description="City of departure.")]
    depart_time: Annotated[str, Meta(description="Departure.")]
    arrive_city: Annotated[str, Meta(description="City of arrival.")]
    arrive_time: Annotated[str, Meta(description="Arrival.")]


flights = restate.VirtualObject(
    "flights",
    description="Reserves, confirms and cancels flights. One object per trip, one live flight per trip.",
    ingress_private=True,
    journal_retention=KEEP_FOR,
    invocation_context_managers=[outcome],
)
bookings = Bookings(SERVICES["flights"])


@flights.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def reserve(ctx: ObjectContext, flight: Flight) -> None:
    """Reserve a flight, unless the trip has one already or this booking was confirmed or cancelled before."""
    found = await bookings.look(ctx.key(), flight.id)
    if found.own == "confirmed":
        raise BookingError("booked before", "an earlier run of this request booked the trip")
    if found.own == "cancelled":
        raise BookingError("rolled back", "an earlier run of this request was rolled back")
    if found.own is None and found.another_is_live:
        raise BookingError("duplicate", "another reservation has this trip id")
    simulate(flight.run_type, reserve)
    await bookings.reserve(ctx.key(), flight)


@flights.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def confirm(ctx: ObjectContext, flight: Booking) -> None:
    """Confirm the reserved flight."""
    simulate(flight.run_type, confirm)
    await bookings.confirm(ctx.key(), flight.id)


@flights.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=RetainedSerde(Compensation))
async def cancel(ctx: ObjectContext, flight: Compensation) -> None:
    """Cancel the flight, whether or not it was reserved: it cannot be reserved afterwards."""
    await bookings.compensate(ctx.key(), flight)


handler = restate.app([flights])
