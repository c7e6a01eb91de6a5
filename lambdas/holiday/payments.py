"""Payments: process, refund. One object per trip, so the steps of a trip never overlap here."""

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


class Payment(Booking, frozen=True, kw_only=True):
    """What `process` charges: a decimal amount as a string, never a float, and its ISO 4217 currency code."""

    amount: Annotated[str, Meta(description="A decimal number, for example 750.00.")]
    currency: Annotated[str, Meta(description="Its ISO 4217 code.")]


payments = restate.VirtualObject(
    "payments",
    description="Processes and refunds payments. One object per trip.",
    ingress_private=True,
    journal_retention=KEEP_FOR,
    invocation_context_managers=[outcome],
)
bookings = Bookings(SERVICES["payments"])


@payments.handler(invocation_retry_policy=GIVE_UP_AFTER_8_ATTEMPTS)
async def process(ctx: ObjectContext, payment: Payment) -> None:
    """Process the payment. It needs no confirmation."""
    simulate(payment.run_type, process)
    await bookings.reserve(ctx.key(), payment)


@payments.handler(invocation_retry_policy=RETRY_UP_TO_A_MINUTE, input_serde=RetainedSerde(Compensation))
async def refund(ctx: ObjectContext, payment: Compensation) -> None:
    """Refund the payment, whether or not it was processed: it cannot be processed afterwards."""
    await bookings.compensate(ctx.key(), payment)


handler = restate.app([payments])
