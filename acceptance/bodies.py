"""Requests that the acceptance and the saga's tests send: bad ones, and a trip with a full itinerary."""

from holiday.services import RUN_TYPES, SERVICES

BAD_REQUESTS: list[tuple[str, str | bytes, list[str]]] = [
    ("POST /trips/reserve", "", ["empty"]),
    ("GET /trips/reserve", "", ["empty"]),
    ("POST /trips/reserve", "{", ["JSON"]),
    ("POST /trips/reserve", "[]", ["object"]),
    ("POST /trips/reserve", '{"trip": {}}', ["trip", "request"]),
    ("POST /trips/reserve", '{"request": {"cat": 1}}', ["cat", "depart_city"]),
    ("POST /trips/reserve", '{"request": {"run_type": "failAll"}}', ["failAll", *RUN_TYPES]),
    ("POST /trips/reserve", '{"request": {"trip_id": 1}}', ["trip_id", "int"]),
    ("POST /trips/reserve", '{"request": {"trip_id": ""}}', ["trip_id"]),
    ("POST /trips/reserve", '{"request": {"trip_id": "' + "x" * 129 + '"}}', ["trip_id", "128"]),
    ("POST /trips/reserve", '{"request": {"depart_time": "soon"}}', ["depart_time", "ISO 8601"]),
    ("POST /trips/reserve", '{"request": {"rental_to": "2021-07-08"}}', ["rental_to", "rental_from"]),
    ("POST /trips/reserve", '{"request": {"rental": "a", "rental": "b"}}', ["rental", "twice"]),
    ("POST /trips/reserve", '{"request": {"trip_id": "foo\\u200b"}}', ["trip_id", "U+200B"]),
    ("POST /trips/reserve", "{}".ljust(65_537), ["65,537", "65,536 bytes"]),
    ("POST /trips/reserve", b'{"request": {"trip_id": "\xff"}}', ["JSON"]),
    *((f"POST /{name}/some-trip/{step}", "{}", ["not public"]) for name, row in SERVICES.items() for step in row.steps),
    *((f"POST /{name}/some-trip/{row.compensation}", '{"id": "x"}', ["not public"]) for name, row in SERVICES.items()),
    ("POST /trips/notify", "{}", ["not public"]),
]
"""Each with the words that its error message must contain."""

ITINERARY = {
    "depart_city": "Oslo",
    "depart_time": "2026-12-01T07:00:00+01:00",
    "arrive_city": "東京",
    "arrive_time": "2026-12-02T08:00:00+09:00",
    "rental": "Volvo",
    "rental_from": "2026-12-02",
    "rental_to": "2026-12-09",
}
