"""`python -m comparison.calls N`: make a booked trip's calls to AWS N times, and print the CPU ms that each trip took.

Nothing but the calls, one after another, through the services' own code: what would be left of `holiday.local` if
Restate's SDK, the HTTP server and the saga cost nothing at all.
"""

import asyncio
import sys
import time
import uuid

from holiday import cars, flights, notifications, payments
from holiday.notices import Notice
from holiday.services import TripRequest

SAMPLE = TripRequest()


async def trip() -> None:
    trip_id = str(uuid.uuid4())
    flight = SAMPLE.booking(flights.Flight, uuid.uuid4())
    car = SAMPLE.booking(cars.Car, uuid.uuid4())
    payment = SAMPLE.booking(payments.Payment, uuid.uuid4())
    await flights.bookings.look(trip_id, flight.id)
    await flights.bookings.reserve(trip_id, flight)
    await cars.bookings.reserve(trip_id, car)
    await payments.bookings.reserve(trip_id, payment)
    await flights.bookings.confirm(trip_id, flight.id)
    await cars.bookings.confirm(trip_id, car.id)
    await notifications.publish(Notice.about(trip_id, trip_id, flight=flight, car=car, payment=payment).of_success())


async def main(trips: int) -> None:
    await trip()
    before = time.process_time()
    for _ in range(trips):
        await trip()
    print((time.process_time() - before) / trips * 1000)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
