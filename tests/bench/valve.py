"""Dispatch by itself: requests to send, made beforehand by all the others, are let through to it at an even pace.

Everything else has done its work by then, so that a machine which carries 150 verifications a second can show dispatch
at 200. Its topics have a prefix of their own; a valve copies the requests from the one set to the other.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from tests.bench.figures import Seen
from tests.bench.load import FEED_EVERY_S
from tests.bench.submitting import Submitter
from tests.support.carrier import Carriers, carriers_at
from tests.support.records import everything_on
from tests.support.stack import rows
from tests.support.waiting import paced
from watchword.events import topics
from watchword.local.process import LocalServerError
from watchword.local.stack import Stack
from watchword.runtime.publishing import Outgoing, Publisher
from watchword.runtime.topics import create_topics

PREFIX = "paced."
MADE_WITHIN_S = 90.0
LOOK_EVERY_S = 0.5
_ATTEMPTS = "SELECT id, verification_id FROM attempts WHERE verification_id = ANY($1::uuid[])"


class Valve:
    """Between the workers of a stack and its dispatch. `run` is that of a platform whose requests are already there."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._behind = replace(stack.cluster, topic_prefix=PREFIX)
        self._publisher = Publisher(self._behind, client_id="valve")
        self._submitter = Submitter(stack.cluster, simulator=stack.simulator_url)
        self._taken: set[tuple[int, int]] = set()

    async def __aenter__(self) -> "Valve":
        await create_topics(self._behind, production=False)
        apart = {"WATCHWORD_TOPIC_PREFIX": PREFIX, "WATCHWORD_GROUP_PREFIX": PREFIX}
        await asyncio.to_thread(self._stack.restart, "dispatch", **apart)
        await asyncio.to_thread(self._stack.await_ready, "dispatch")
        await self._publisher.start()
        await self._submitter.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._submitter.__aexit__()
        await self._publisher.stop()

    async def run(
        self, *, rate_per_s: float, seconds: float, drain_s: float = 10.0, purposes: Sequence[str] = ("login",)
    ) -> Seen:
        """One load at an even pace; what no carrier has `drain_s` after the last one counts as failed. Raises
        LocalServerError where the requests are not made in time."""
        made = await self._made(int(rate_per_s * seconds), purposes)
        seen, began, let_through = Seen(), time.monotonic(), dict[UUID, tuple[str, float]]()
        while seen.started < len(made):
            due = min(int((time.monotonic() - began) * rate_per_s) + 1, len(made))
            batch = made[seen.started : due]
            let_through |= {_about(each): (_purpose(each), time.time()) for each in batch}
            await self._publisher.publish([_again(each) for each in batch])
            seen.started = due
            await paced(FEED_EVERY_S)
        seen.took_s = time.monotonic() - began
        async with carriers_at(self._stack.simulator_url) as carriers:
            arrived = await self._arrived(carriers, let_through, drain_s)
        for identity, at in arrived.items():
            purpose, since = let_through[identity]
            seen.carried(purpose, at, since=since)
        seen.failed = len(made) - len(arrived)
        return seen

    async def _made(self, count: int, purposes: Sequence[str]) -> list[Any]:
        """So many requests to send that were not let through yet."""
        await self._submitter.submit(count, purposes)
        until = time.monotonic() + MADE_WITHIN_S
        while time.monotonic() < until:
            records = await everything_on(self._stack.cluster, [topics.DISPATCH])
            fresh = [each for each in records if (each.partition, each.offset) not in self._taken]
            if len(fresh) >= count:
                self._taken |= {(each.partition, each.offset) for each in fresh}
                return sorted(fresh, key=lambda record: record.timestamp)
            await paced(LOOK_EVERY_S)
        raise LocalServerError(f"{count} requests to send were not made within {MADE_WITHIN_S:g} s")

    async def _arrived(
        self, carriers: Carriers, let_through: "dict[UUID, tuple[str, float]]", drain_s: float
    ) -> dict[UUID, float]:
        """When the first message of each verification was with a carrier, in seconds since 1970."""
        until, found = time.monotonic() + drain_s, dict[UUID, float]()
        while len(found) < len(let_through) and time.monotonic() < until:
            await paced(LOOK_EVERY_S)
            attempts = await rows(self._stack, _ATTEMPTS, list(let_through))
            of = {str(row["id"]): row["verification_id"] for row in attempts}
            for name in self._stack.plan.carriers:
                for call in (await carriers.ledger_of(name)).calls:
                    if call.result == "accepted" and call.client_ref in of:
                        found.setdefault(of[call.client_ref], call.time.timestamp())
        return found


def _again(record: Any) -> Outgoing:
    return Outgoing(topics.DISPATCH, record.key, record.value, record.headers)


def _about(record: Any) -> UUID:
    return UUID(orjson.loads(record.value)["verification_id"])


def _purpose(record: Any) -> str:
    return str(orjson.loads(record.value)["purpose"])
