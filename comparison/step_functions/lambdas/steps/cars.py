"""Rental cars: reserve, confirm, cancel."""

from typing import Any

from steps import bookings


def reserve(car: dict[str, str], _context: Any) -> None:
    bookings.begin("cars.reserve", car)
    bookings.simulate(car, "failCarRentalReservation")
    bookings.take(car, "pending")


def confirm(car: dict[str, str], _context: Any) -> None:
    bookings.begin("cars.confirm", car)
    bookings.simulate(car, "failCarRentalConfirmation")
    bookings.confirm(car)


def cancel(car: dict[str, str], _context: Any) -> None:
    bookings.begin("cars.cancel", car)
    bookings.undo(car, "cancelled")
