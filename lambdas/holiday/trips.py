"""Trips: books a holiday or, if a step fails, compensates the steps so far. The whole saga is in this file.

It is safe because ids come first, each compensation is registered before its step is called, compensations are sent
and never awaited, forward steps give up while compensations and notices do not, and sending the success notice is the
commit point: nothing is awaited after it.
"""

import restate
from restate import Context, TerminalError

from holiday import cars, flights, notifications, payments
from holiday.handler_info import describe_inputs
from holiday.logs import about, outcome
from holiday.messages import TripBooked
from holiday.notices import Notice, NoticeSerde
from holiday.retries import KEEP_FOR, NEVER_GIVE_UP, RETRY_UP_TO_A_MINUTE
from holiday.saga import Saga
from holiday.simulation import simulate
from holiday.trip_request import ReserveRequest, ReserveRequestSerde, reject_invalid

trips = restate.Service(
    "trips",
    description="Books a holiday, all or nothing: the flight, the rental car and the payment.",
    invocation_retry_policy=NEVER_GIVE_UP,
    journal_retention=KEEP_FOR,
    idempotency_retention=KEEP_FOR,
    invocation_context_managers=[outcome],
)


@trips.handler(input_serde=ReserveRequestSerde())
@reject_invalid
async def reserve(ctx: Context, request: ReserveRequest) -> TripBooked:
    """Book a trip, all or nothing: the flight, the rental car and the payment.

    An invalid request is answered with 400, a duplicate trip id with 409, and a trip that was rolled back with 422.
    """
    trip, generated_id = request.request, str(ctx.uuid())
    trip_id = trip.trip_id or generated_id
    flight = trip.booking(flights.Flight, ctx.uuid())
    car = trip.booking(cars.Car, ctx.uuid())
    payment = trip.booking(payments.Payment, ctx.uuid())
    notice = Notice.about(trip_id, ctx.request().id, flight=flight, car=car, payment=payment)
    saga = Saga(ctx, trip_id)
    try:
        await saga.step(flights.reserve, flight, compensation=flights.cancel)  # the gate
        await saga.step(cars.reserve, car, compensation=cars.cancel)
        await saga.step(payments.process, payment, compensation=payments.refund)
        await saga.side_by_side((flights.confirm, flight.booking), (cars.confirm, car.booking))

        saga.begin(notify)
        simulate(trip.run_type, notify)
        ctx.service_send(notify, notice.of_success())
        return TripBooked(trip_id=trip_id)
    except TerminalError as error:
        failure = saga.failure(error)
        match failure.reason:  # the first three are the gate's: nothing was booked, so nothing is compensated
            case "booked before":
                return TripBooked(trip_id=trip_id)
            case "rolled back":
                why = f"Trip {trip_id} was rolled back before: to try again, send a new idempotency key."
                raise failure.error(422, why) from None
            case "duplicate":
                raise failure.error(409, f"Trip {trip_id} is already booked or being booked.") from None
            case _:
                compensations = saga.compensate()
                failed = f"{failure.step} failed ({failure.cause})"
                why = f"Trip {trip_id} was not booked by this request: {failed}. Compensations: {compensations}."
                ctx.service_send(notify, notice.of_failure(why))
                raise failure.error(422, why, compensations) from None


@trips.handler(ingress_private=True, input_serde=NoticeSerde(), invocation_retry_policy=RETRY_UP_TO_A_MINUTE)
async def notify(_ctx: Context, notice: Notice) -> None:
    """Publish a notice, retried until SNS accepts it: an outage delays no answer and cancels no booked trip."""
    about.set(notice.trip_id)
    await notifications.publish(notice)


describe_inputs(trips)
handler = restate.app([trips])
