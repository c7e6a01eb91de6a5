"""The harness's client of Restate. It retries until there is an answer, because plans kill Restate."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import httpx

from holiday.services import SERVICES
from localcloud.cloud import LocalCloud
from localcloud.invocations import unfinished

TIME_OUT = 600.0
"""Seconds. An invocation that has not ended by then is considered stuck."""


class Restate:
    """An operator's view of this cloud's Restate."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._http = httpx.AsyncClient(trust_env=False, timeout=TIME_OUT, limits=httpx.Limits(max_connections=500))

    async def ask(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Repeat a request until Restate itself answers: it may be down or starting."""
        async with asyncio.timeout(TIME_OUT):
            while True:
                with suppress(httpx.TransportError):
                    answer = await self._http.request(method, url, **request)
                    if answer.status_code not in (502, 503, 504):
                        return answer
                await asyncio.sleep(0.2)

    async def operate(self, verb: str, invocation: str) -> httpx.Response:
        """Cancel, kill, pause or resume an invocation."""
        return await self.ask("PATCH", f"{self._cloud.admin_url}/invocations/{invocation}/{verb}")

    async def purge(self, invocation: str) -> None:
        """Purge an invocation that has ended, and its idempotency key, as Restate does after the retention.

        Waits for the steps that it called to end first. Otherwise, if it begins again under the same id, it gets their
        answers, which stops its partition of Restate 1.7.12 for good.
        """
        sent = ", ".join(f"'{name}'" for name in {"notify", *(row.compensation for row in SERVICES.values())})
        called = f"invoked_by_id = '{invocation}' AND target_handler_name NOT IN ({sent})"
        calls = unfinished(f"id IN (SELECT id FROM sys_invocation WHERE {called})", "id")
        async with asyncio.timeout(TIME_OUT):
            while await self.query(calls):
                await asyncio.sleep(0.05)
        answer = await self.operate("purge", invocation)
        if answer.status_code != 404:  # the purge was repeated because Restate was killed meanwhile
            answer.raise_for_status()
        async with asyncio.timeout(TIME_OUT):  # a purge is accepted before it takes effect
            while await self.query(f"SELECT id FROM sys_invocation_status WHERE id = '{invocation}'"):
                await asyncio.sleep(0.02)

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Query Restate's introspection tables. For a moment after its start it answers 500."""
        url, accept = f"{self._cloud.admin_url}/query", {"accept": "application/json"}
        async with asyncio.timeout(TIME_OUT):
            while (answer := await self.ask("POST", url, json={"query": sql}, headers=accept)).is_server_error:
                await asyncio.sleep(0.1)
        return answer.raise_for_status().json()["rows"]

    async def unfinished(self) -> int:
        """The number of invocations that have not ended."""
        return len(await self.query(unfinished(columns="id")))

    async def until(self, condition: str, targets: set[str] | None = None) -> list[dict[str, Any]]:
        """Wait until unfinished invocations meet this SQL condition: any of them, or one for each of these targets."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(TIME_OUT):
            while not found or (targets is not None and {row["target"] for row in found} != targets):
                await asyncio.sleep(0.05)
                found = await self.query(unfinished(condition))
        return found

    async def until_done(self, *targets: str) -> None:
        """Wait until an invocation of each of these targets has ended."""
        names = ", ".join(f"'{target}'" for target in targets)
        done = f"SELECT DISTINCT target FROM sys_invocation WHERE target IN ({names}) AND status = 'completed'"
        async with asyncio.timeout(TIME_OUT):
            while len(await self.query(done)) < len(targets):
                await asyncio.sleep(0.05)

    async def settle(self) -> list[str]:
        """Wait until every invocation has ended. Returns those that have not by the time-out."""
        deadline = time.monotonic() + TIME_OUT
        while (stuck := await self.query(unfinished())) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return [f"never ended: {invocation}" for invocation in stuck]
