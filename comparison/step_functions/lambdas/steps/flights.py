"""Flights: reserve, confirm, cancel. Reserved first and cancelled last, so this is where a trip id is held."""

from typing import Any

from steps import bookings


def reserve(flight: dict[str, str], _context: Any) -> None:
    bookings.begin("flights.reserve", flight)
    if flight["run_type"] == "failFlightsReservation":
        bookings.refuse_if_held(flight)
        bookings.simulate(flight, "failFlightsReservation")
    bookings.take_through_gate(flight, "pending")


def confirm(flight: dict[str, str], _context: Any) -> None:
    bookings.begin("flights.confirm", flight)
    bookings.simulate(flight, "failFlightsConfirmation")
    bookings.confirm(flight)


def cancel(flight: dict[str, str], _context: Any) -> None:
    bookings.begin("flights.cancel", flight)
    bookings.undo(flight, "cancelled")
    bookings.open_gate(flight)
