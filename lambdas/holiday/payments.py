"""Payments: process, refund. One object per trip, so the steps of a trip never overlap here."""

import restate
from restate import ObjectContext

from holiday.bookings import Bookings
from holiday.logs import outcome
from holiday.models import Compensation, Kept, Payment, simulate
from holiday.retries import GIVE_UP_AFTER_8_ATTEMPTS, RETRY_UP_TO_A_MINUTE

payments = restate.VirtualObject(
    "payments",
    description="Takes and refunds payments. One object per trip.",
    ingress_private=True,
    invocation_context_managers=[outcome],
)
bookings = Bookings("PAYMENTS_TABLE_NAME")


@payments.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def process(ctx: ObjectContext, payment: Payment) -> None:
    """Take the payment. There is nothing to confirm later."""
    simulate(payment.run_type, "failPayment")
    await bookings.reserve(ctx.key(), payment.id, "confirmed", amount=payment.amount, currency=payment.currency)


@payments.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=Kept(Compensation))
async def refund(ctx: ObjectContext, payment: Compensation) -> None:
    """Refund the payment, taken or not: it cannot be taken after this."""
    await bookings.compensate(ctx.key(), payment, "refunded")


handler = restate.app([payments])
