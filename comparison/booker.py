"""Books trips at one of the engines, as many callers at a time as are asked for, and times the answers."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from comparison.engines import Engine
from comparison.observe import Observer

RUN_TYPES = {"success": 200, "failPayment": 422}


TIMEOUT = 120.0


# Seconds between one caller's arrival and the next's. Were all there at once, the emulator would start a process for
# each in every function, and 600 of them fill the memory.
ARRIVAL = 0.02


class BenchError(Exception):
    """A trip did not end as it must: a wrong answer is not worth timing."""


@dataclass
class Turn:
    """What came of one engine's turn: seconds until each answer, and until all was settled."""

    answers: list[float]
    seconds: float


class Booker:
    """Books trips at one engine. Every caller has a connection of its own, as callers do."""

    def __init__(self, engine: Engine, observer: Observer) -> None:
        self.engine = engine
        self.observer = observer

    def book(self, run_type: str, client: httpx.Client, trip_id: str | None = None) -> httpx.Response:
        request = {"trip_id": trip_id or f"bench-{uuid.uuid4()}"}
        request |= {} if run_type == "success" else {"run_type": run_type}
        try:
            return client.post(self.engine.url, json={"request": request})
        except httpx.HTTPError as error:
            raise BenchError(f"{self.engine.name} did not answer: {error!r}.") from error

    def turn(self, run_type: str, callers: int, trips: int) -> Turn:
        """Let `callers` book `trips` in all, and wait until undo and notices are done too."""

        def call(number: int) -> list[float]:
            times: list[float] = []
            time.sleep(number * ARRIVAL)
            with clients[number] as client:
                for _ in range(trips // callers):
                    begin = time.perf_counter()
                    answer = self.book(run_type, client)
                    times.append(time.perf_counter() - begin)
                    if answer.status_code != RUN_TYPES[run_type]:
                        raise BenchError(f"{self.engine.name} answered {answer.status_code}: {answer.text[:300]}")
            return times

        clients = [httpx.Client(timeout=TIMEOUT, trust_env=False) for _ in range(callers)]
        begin = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            answers = [time for times in pool.map(call, range(callers)) for time in times]
        self.observer.idle()
        seconds = time.perf_counter() - begin
        self.observer.settle()
        return Turn(answers, seconds)
