"""`python -m comparison.calls N`: make a booked trip's calls to AWS N times, and print the CPU ms that each trip took.

Nothing but the calls, one after another, through the services' own code: what would be left of `holiday.local` if
Restate's SDK, the HTTP server and the saga cost nothing at all.
"""

import asyncio
import sys
import time
import uuid

from holiday import cars, flights, notifications, payments
from holiday.models import Notice

FLIGHT = {"depart_city": "Oslo", "depart_time": "2026-07-07", "arrive_city": "Rome", "arrive_time": "2026-07-08"}
CAR = {"rental": "BMW", "rental_from": "2026-07-08", "rental_to": "2026-07-15"}


async def trip() -> None:
    trip_id, flight, car, payment = (str(uuid.uuid4()) for _ in range(4))
    await flights.bookings.look(trip_id, flight)
    await flights.bookings.reserve(trip_id, flight, "pending", **FLIGHT)
    await cars.bookings.reserve(trip_id, car, "pending", **CAR)
    await payments.bookings.reserve(trip_id, payment, "confirmed", amount="450.00", currency="USD")
    await flights.bookings.confirm(trip_id, flight)
    await cars.bookings.confirm(trip_id, car)
    await notifications.publish(Notice(trip_id, flight, car, payment, invocation_id=trip_id).of_success())


async def main(trips: int) -> None:
    await trip()
    before = time.process_time()
    for _ in range(trips):
        await trip()
    print((time.process_time() - before) / trips * 1000)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
