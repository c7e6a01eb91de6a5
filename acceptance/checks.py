"""The checks of an acceptance, in order: the public contract, and that it survives deployments.

What a run type should do derives from the rows of services.py. Each check returns one line of evidence, or raises what
was wrong.
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from acceptance.bodies import BAD_REQUESTS, ITINERARY
from acceptance.driver import Driver, eventually
from acceptance.sites import Site
from demo.contract import LIVE, word
from demo.readme import left
from holiday.services import RUN_TYPES, SERVICES
from localcloud.environment import LocalCloudError

RENAMED = ('restate.Service(\n    "trips"', 'restate.Service(\n    "acceptance"')
"""Turns the sources into a version whose `trips` fails to register, after all other services have registered."""
TRIES = 10
"""How often to try to cancel a trip before it is booked."""

Check = tuple[str, Callable[[], str]]


class CheckError(Exception):
    """Something violates the contract."""


def expect(what: str, found: object, expected: object) -> None:
    """Raise CheckError unless `found` equals `expected`."""
    if found != expected:
        raise CheckError(f"{what}: {found!r} instead of {expected!r}")


class Checks:
    """The checks of one run, on `site`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._holiday: Driver[Site] | None = None

    def all(self) -> list[Check]:
        """Each check with its name. If the first one fails, the others cannot run; the last one removes the stack."""
        return [
            ("first deployment", self.deploy),
            ("the sample trip", self.sample),
            *((f"run type {name}", lambda name=name: self.run_type(name)) for name in RUN_TYPES),
            ("a caller's own itinerary", self.itinerary),
            ("bad requests", self.bad_requests),
            ("a trip id that is booked already", self.duplicate),
            ("a repeated idempotency key: booked", lambda: self.repeated_key("success")),
            ("a repeated idempotency key: rolled back", lambda: self.repeated_key("failPayment")),
            ("a trip that is cancelled midway", self.cancelled),
            ("a deployment without a change", self.idle_deployment),
            ("a deployment that fails and is rolled back", self.rollback),
            ("removal", self.removal),
        ]

    @property
    def holiday(self) -> Driver[Site]:
        if not self._holiday:
            raise CheckError("nothing is deployed")
        return self._holiday

    def deploy(self) -> str:
        names = self.site.deploy(self.site.lambdas)
        self._holiday = Driver(self.site, names, self.site.key, queue=self.site.name, wait=self.site.wait)
        expect("services", set(self.site.services()), {"trips", *SERVICES})
        expect("tables", {name.lower() for name in self.holiday.tables}, set(SERVICES))
        return f"Restate has {', '.join(sorted(self.site.services()))}"

    def sample(self) -> str:
        response = self.holiday.reserve()
        trip_id = response.json().get("trip_id", "")
        return self._check(response, trip_id, "success")

    def run_type(self, run_type: str) -> str:
        trip_id = new_id()
        return self._check(self.holiday.reserve({"trip_id": trip_id, "run_type": run_type}), trip_id, run_type)

    def itinerary(self) -> str:
        trip_id = new_id()
        evidence = self._check(self.holiday.reserve({"trip_id": trip_id, **ITINERARY}), trip_id, "success")
        found: dict[str, str] = {}
        for rows in self.holiday.rows(trip_id).values():
            found |= rows[0]
        expect("what was booked", {name: found.get(name) for name in ITINERARY}, ITINERARY)
        return evidence

    def bad_requests(self) -> str:
        before = self.holiday.totals()
        for line, body, words in BAD_REQUESTS:
            method, path = line.split()
            headers = {"content-type": "application/json"} if body else {}
            response = self.holiday.http.request(method, path, content=body, headers=headers)
            sent = f"{line} {body[:60]!r}"
            expect(f"{sent}, status", response.status_code, 400)
            missing = [each for each in words if each not in response.json()["message"]]
            expect(f"{sent}, words that are missing in {response.text[:200]!r}", missing, [])
            if invocation := response.headers.get("x-restate-id"):
                self.holiday.settle_one(invocation)
        expect("rows", self.holiday.totals(), before)
        return f"{len(BAD_REQUESTS)} requests: 400 each, each naming the error; no row was written"

    def duplicate(self) -> str:
        trip_id = new_id()
        self._check(self.holiday.reserve({"trip_id": trip_id}), trip_id, "success")
        before = self.holiday.rows(trip_id)
        response = self.holiday.reserve({"trip_id": trip_id, "run_type": "failPayment"})
        expect("status", response.status_code, 409)
        expect("reason", response.json().get("metadata", {}).get("reason"), "duplicate")
        self.holiday.settle_one(self.holiday.invocation_of(response))
        self._unchanged(trip_id, before, "success")
        return f"409 duplicate; the trip {trip_id} and its one notice are unchanged"

    def repeated_key(self, run_type: str) -> str:
        request = {"trip_id": new_id()} | ({} if run_type == "success" else {"run_type": run_type})
        trip_id, key = request["trip_id"], f"key-{request['trip_id']}"
        first = self.holiday.reserve(request, idempotency_key=key)
        self._check(first, trip_id, run_type)
        before, invocation = self.holiday.rows(trip_id), self.holiday.invocation_of(first)
        again = self.holiday.reserve(request, idempotency_key=key)
        expect("the answer again", (again.status_code, again.json()), (first.status_code, first.json()))

        # when the key was purged, as it is after a day
        self.holiday.purge(invocation)
        later = self.holiday.reserve(request, idempotency_key=key)
        expect("a day later", later.status_code, first.status_code)
        if run_type != "success":
            expect("the reason a day later", later.json()["metadata"]["reason"], "rolled back")
        self.holiday.settle_one(self.holiday.invocation_of(later))
        self._unchanged(trip_id, before, "success" if run_type == "success" else "failure")
        return f"{first.status_code} three times, the last once the key had expired; nothing changed"

    def cancelled(self) -> str:
        for number in range(TRIES):
            trip_id = new_id()
            invocation = self.holiday.send({"trip_id": trip_id})
            begun = f"SELECT id FROM sys_invocation WHERE target_service_key = '{trip_id}'"
            eventually(lambda sql=begun: self.holiday.query(sql), bool)
            with suppress(httpx.HTTPStatusError):  # it is booked by now
                self.site.admin.operate("cancel", invocation)
            self.holiday.settle_one(invocation)
            answer = self.holiday.answer(invocation)
            if answer.status_code == 200:  # it was booked before
                self._check(answer, trip_id, "success", invocation)
                continue
            metadata = answer.json().get("metadata", {})
            expect("status and reason", (answer.status_code, metadata.get("reason")), (422, "cancelled"))
            found = {name: each.split()[0] for name, each in self._words(trip_id).items()}
            if live := {name: each for name, each in found.items() if each in LIVE}:
                raise CheckError(f"the cancelled trip {trip_id} left bookings: {live}")
            self._notices(trip_id, "failure", invocation)
            return f"cut off at {metadata.get('step')} (attempt {number + 1}): 422 cancelled; {told(found)}; one notice"
        raise CheckError(f"all {TRIES} trips were booked before they could be cancelled")

    def idle_deployment(self) -> str:
        before = self.site.services()
        self.site.deploy(self.site.lambdas)
        expect("deployments and revisions", self.site.services(), before)
        return f"{len(before)} services on the same deployments and revisions as before"

    def rollback(self) -> str:
        before, broken = self.site.services(), self.site.folder / "broken"
        shutil.copytree(self.site.lambdas, broken, ignore=shutil.ignore_patterns("__pycache__"))
        trips = broken / "holiday" / "trips.py"
        trips.write_text(trips.read_text().replace(*RENAMED))
        try:
            self.site.deploy(broken)
        except LocalCloudError as error:
            if "offers acceptance" not in str(error):
                raise
        else:
            raise CheckError("a version of trips that cannot be registered was deployed")
        expect("the stack", self.site.stack_status(), "UPDATE_ROLLBACK_COMPLETE")
        after = self.site.services()
        expect("deployments", {name: each[0] for name, each in after.items()}, {n: b[0] for n, b in before.items()})
        live = [name for name in SERVICES if after[name][1] > before[name][1]]
        expect("services that had been on the new version", live, list(SERVICES))
        trip_id = new_id()
        self._check(self.holiday.reserve({"trip_id": trip_id}), trip_id, "success")
        return f"UPDATE_ROLLBACK_COMPLETE; {', '.join(live)} had moved on and are back; a trip is booked"

    def removal(self) -> str:
        self.site.destroy()
        expect("the stack", self.site.stack_status(), None)
        expect("services", eventually(self.site.services, lambda found: not found), {})
        return "the stack is gone, and Restate has no services"

    def _check(self, response: httpx.Response, trip_id: str, run_type: str, invocation: str = "") -> str:
        """Check a response, and the rows and the notice of its trip, against the contract."""
        answer: dict[str, Any] = response.json()
        status = 200 if run_type == "success" else 422
        expect(f"status of {answer}", response.status_code, status)
        if run_type == "success":
            expect("answer", answer, {"status": "success", "trip_id": trip_id})
        else:
            why = answer.get("metadata", {})
            found = {name: why.get(name) for name in ("reason", "step", "trip_id")}
            expect("metadata", found, {"reason": "simulated", "step": RUN_TYPES[run_type], "trip_id": trip_id})
        invocation = invocation or self.holiday.invocation_of(response)
        self.holiday.settle_one(invocation)
        words = self._words(trip_id)
        expect(f"rows of trip {trip_id}", words, left(run_type))
        notice = self._notices(trip_id, "success" if status == 200 else "failure", invocation)
        if status == 200:
            ids = {
                f"{SERVICES[name.lower()].booking}_id": row["id"] for name, [row] in self.holiday.rows(trip_id).items()
            }
            expect("booking ids of the notice", {name: notice.get(name) for name in ids}, ids)
        return f"{status}; {told(words)}; one {notice['status']} notice"

    def _words(self, trip_id: str) -> dict[str, str]:
        """What the tables have about a trip, in the contract's words, by service."""
        found = {name.lower(): rows for name, rows in self.holiday.rows(trip_id).items()}
        return {name: " and ".join(word(row) for row in found[name] or [None]) for name in SERVICES}

    def _notices(self, trip_id: str, status: str, invocation: str) -> dict[str, str]:
        """The only distinct notice about a trip: SNS may deliver it twice."""
        eventually(lambda: self.holiday.notices(trip_id), bool)
        found = self.holiday.notices(trip_id)
        distinct = Counter((notice["status"], notice["invocation_id"]) for notice in found)
        expect(f"notices about trip {trip_id}", list(distinct), [(status, invocation)])
        return found[0]

    def _unchanged(self, trip_id: str, before: object, status: str) -> None:
        expect(f"rows of trip {trip_id}", self.holiday.rows(trip_id), before)
        expect(f"notices about trip {trip_id}", {each["status"] for each in self.holiday.notices(trip_id)}, {status})
        expect("reservations", len({each["invocation_id"] for each in self.holiday.notices(trip_id)}), 1)


def new_id() -> str:
    return f"acceptance-{uuid.uuid4().hex[:12]}"


def told(words: dict[str, str]) -> str:
    return ", ".join(f"{name} {each}" for name, each in words.items())
