"""Books trips through the ingress, as any client would, and reads the results from the tables and from the notices
that an SQS subscriber gets."""

import time
from collections.abc import Mapping, Sequence

import httpx

from demo.cloud import HolidayCloud
from demo.contract import CONTRACT, Row, Trip, complaint
from localcloud import tables
from localcloud.cloud import LocalCloud
from localcloud.inbox import Inbox

SETTLE_TIMEOUT = 30.0


def run_types(cloud: LocalCloud) -> list[str]:
    """The run types of the contract, then any others that the deployed trips accepts."""
    url = f"{cloud.admin_url}/services/trips/handlers/reserve"
    schema = httpx.get(url, trust_env=False).raise_for_status().json()["input_json_schema"]
    accepted: list[str] = schema["$defs"]["TripRequest"]["properties"]["run_type"]["enum"]
    return list(dict.fromkeys([*CONTRACT, *accepted]))


def book(cloud: LocalCloud, trip_id: str, run_type: str) -> Trip:
    """Book one trip through the ingress and time the answer."""
    request = {"trip_id": trip_id} | ({} if run_type == "success" else {"run_type": run_type})
    begin = time.monotonic()
    url = f"{cloud.ingress_url}/trips/reserve"
    answer = httpx.post(url, json={"request": request}, trust_env=False, timeout=120)
    return Trip(trip_id, run_type, answer.status_code, answer.text, time.monotonic() - begin)


def inbox(cloud: HolidayCloud) -> Inbox:
    """The notices from now on, or since the last demo of this cloud."""
    return Inbox(cloud.client, cloud.outputs()["TopicArn"], "holiday-notices")


def settle(cloud: HolidayCloud, inbox: Inbox, trips: Sequence[Trip]) -> None:
    """Read rows and notices until every trip is as the contract says, for at most SETTLE_TIMEOUT seconds."""
    kinds, deadline = cloud.tables(), time.monotonic() + SETTLE_TIMEOUT
    while True:
        heard = inbox.read()
        for trip in trips:
            trip.rows = dict.fromkeys(kinds, Row()) | _rows(cloud, kinds, trip.trip_id)
            trip.notices += [notice["status"] for notice in heard if notice["trip_id"] == trip.trip_id]
        if not any(complaint(trip) for trip in trips) or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def rows_of(cloud: HolidayCloud, trip_id: str) -> dict[str, Row]:
    """What the tables hold for a trip, by kind of booking; a kind without a row is left out."""
    return _rows(cloud, cloud.tables(), trip_id)


def every_row_of(cloud: HolidayCloud, trip_id: str) -> dict[str, list[Row]]:
    """The same with all rows of each kind: a trip with several runs has more than one."""
    return {kind: tables.of_key(cloud.client, table, trip_id) for kind, table in cloud.tables().items()}


def _rows(cloud: LocalCloud, kinds: Mapping[str, str], trip_id: str) -> dict[str, Row]:
    found = {kind: tables.of_key(cloud.client, table, trip_id) for kind, table in kinds.items()}
    return {kind: rows[-1] for kind, rows in found.items() if rows}
