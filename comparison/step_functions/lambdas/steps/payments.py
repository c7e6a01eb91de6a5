"""Payments: process, refund."""

from typing import Any

from steps import bookings


def process(payment: dict[str, str], _context: Any) -> None:
    bookings.begin("payments.process", payment)
    bookings.simulate(payment, "failPayment")
    bookings.take(payment, "confirmed")


def refund(payment: dict[str, str], _context: Any) -> None:
    bookings.begin("payments.refund", payment)
    bookings.undo(payment, "refunded")
