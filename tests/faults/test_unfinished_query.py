"""The query for unfinished invocations finds them in each state and gives the reason, with VQueues and without."""

import asyncio
from collections import Counter

import httpx

from tests.faults.calls import AwsCall
from tests.faults.harness import Harness
from tests.faults.plans import Trip


def test_unfinished_invocations_are_found_in_each_state(runner: asyncio.Runner, on_lambda_either_way: Harness) -> None:
    harness, refused = on_lambda_either_way, Counter[str]()

    def decide(call: AwsCall) -> str | None:
        if call.name == "payments.refund":
            refused[call.trip_id] += 1
            return "reset"
        return "hanging" if call.trip_id == "found-hanging" else None

    async def scene() -> None:
        # given a refund that fails, a trip that waits for it, a paused refund, a hanging call, and a scheduled trip
        harness.proxy.decide = decide
        made = [await harness.reserve(trip_id, "failPayment") for trip_id in ("found-stuck", "found-paused")]
        waiting, hanging = await harness.send("found-stuck"), await harness.send("found-hanging")
        async with httpx.AsyncClient(base_url=harness.cloud.ingress_url, trust_env=False, timeout=60) as http:
            later: str = (await http.post("/trips/reserve/send?delay=1h", json={})).json()["invocationId"]
        [paused] = await harness.until("target = 'payments/found-paused/refund' AND failures > 0")
        (await harness.operate("pause", paused["id"])).raise_for_status()

        # then each is found, whether its next attempt is due in a second or in many
        await harness.until("target = 'flights/found-hanging/reserve' AND status = 'running'")
        await harness.until(f"id = '{hanging}' AND status = 'suspended' AND failures = 0 AND failure IS NULL")
        await harness.until(f"id = '{waiting}' AND status = 'suspended'")
        await harness.until("target = 'payments/found-stuck/process' AND status = 'queued'")
        await harness.until("target = 'payments/found-paused/refund' AND status = 'paused' AND failure LIKE '[500]%'")
        await harness.until(f"id = '{later}' AND status = 'scheduled'")
        is_stuck = "target = 'payments/found-stuck/refund' AND status = 'backing-off' AND failures >= {}"
        for attempts in (1, 2):
            [stuck] = await harness.until(is_stuck.format(attempts))
            assert stuck["failure"].startswith("[500] ConnectionClosedError("), stuck

        # and the number of failures is right
        async with asyncio.timeout(60):
            while (await harness.until(is_stuck.format(2)))[0]["failures"] != refused["found-stuck"]:
                await asyncio.sleep(0.1)

        # and nothing is found when everything has ended
        harness.play({})
        (await harness.operate("resume", paused["id"])).raise_for_status()
        (await harness.operate("kill", later)).raise_for_status()
        made += [await harness.answer("found-stuck", waiting), await harness.answer("found-hanging", hanging)]
        trips = {trip_id: Trip(again=True) for trip_id in ("found-stuck", "found-paused", "found-hanging")}
        assert await harness.check("found-", trips, made) == []
        assert await harness.unfinished() == 0

    runner.run(scene())
