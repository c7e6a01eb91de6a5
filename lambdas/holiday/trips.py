"""Trips: books a holiday, and undoes what was done when a step fails. The whole saga is this file.

It is safe because ids come first, an undo is noted before its step is asked for, undo is sent and never awaited,
forward steps give up while undo and notices do not, and sending the success notice is the commit point: nothing is
awaited after it.
"""

import restate
from restate import Context, TerminalError

from holiday import cars, flights, notifications, payments
from holiday.logs import about, outcome
from holiday.models import Notice, ReserveRequest, ReserveRequestSerde, TripBooked, accepted, simulate
from holiday.retries import NEVER_GIVE_UP, RETRY_UP_TO_A_MINUTE
from holiday.saga import Saga

trips = restate.Service(
    "trips",
    description="Books a holiday: flight, rental car and payment, or nothing at all.",
    invocation_retry_policy=NEVER_GIVE_UP,
    invocation_context_managers=[outcome],
)


@trips.handler(input_serde=ReserveRequestSerde())
async def reserve(ctx: Context, request: ReserveRequest) -> TripBooked:
    """Book a flight, a rental car and the payment of a trip, or nothing at all."""
    trip = accepted(request)
    trip_id = trip.trip_id or str(ctx.uuid())
    flight, car, payment = trip.flight(ctx.uuid()), trip.car(ctx.uuid()), trip.payment(ctx.uuid())
    notice = Notice(trip_id, flight.id, car.id, payment.id, invocation_id=ctx.request().id)
    saga = Saga(ctx, trip_id)
    try:
        saga.undo_with(flights.cancel, flight.booking)
        await saga.step(flights.reserve, flight)

        saga.undo_with(cars.cancel, car.booking)
        await saga.step(cars.reserve, car)

        saga.undo_with(payments.refund, payment.booking)
        await saga.step(payments.process, payment)

        await saga.step(flights.confirm, flight.booking)
        await saga.step(cars.confirm, car.booking)

        saga.begin("trips.notify")
        simulate(trip.run_type, "failNotification")
        ctx.service_send(notify, notice.of_success())
        return TripBooked(trip_id=trip_id)
    except TerminalError as error:
        failure = saga.undo(error)
        if failure["reason"] == "duplicate":  # the trip that holds the id stands: no notice
            raise TerminalError(f"Trip {trip_id} is already booked or being booked.", 409, failure) from None
        failed, undoing = f"{failure['step']} failed ({failure['cause']})", failure["undoing"]
        why = f"Trip {trip_id} was not booked: {failed}. Undoing: {undoing}."
        ctx.service_send(notify, notice.of_failure(why))
        raise TerminalError(why, 422, failure) from None


@trips.handler(ingress_private=True, invocation_retry_policy=RETRY_UP_TO_A_MINUTE)
async def notify(_ctx: Context, notice: Notice) -> None:
    """Publish a notice until SNS has taken it: an outage neither delays an answer nor undoes a trip that stands."""
    about.set(notice.trip_id)
    await notifications.publish(notice)


handler = restate.app([trips])
