"""A platform that publishes its requests: an open loop through the Kafka door, up to the carrier and no further."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

from tests.bench.figures import Seen
from tests.bench.load import CALL_TIMEOUT_S, FEED_EVERY_S, Phones, carried_at
from tests.support.waiting import paced
from watchword.events import topics
from watchword.runtime.kafka import Cluster
from watchword.runtime.publishing import Outgoing, Publisher

SOURCE = "/bench"  # as the configuration of a benchmark names it
FIRST_NUMBER = 919_100_000_000  # others than those that ask over HTTP
STRIDE, NUMBERS = 100_003, 800_000_000
_HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_source", SOURCE.encode()),
    ("ce_type", b"otp.verification-submitted.v1"),
    ("content-type", b"application/json"),
)


class Submitter:
    """Publishes requests and sees when each code is with its carrier. Nobody types one in: what lies behind the carrier
    does not take part."""

    def __init__(self, cluster: Cluster, *, simulator: str) -> None:
        self._simulator = simulator
        self._publisher = Publisher(cluster, client_id="bench")
        self._asked: dict[str, tuple[str, float]] = {}
        self._next = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Submitter":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S))
        self._phones = Phones(self._simulator, self._session)
        await self._phones.received()
        await self._publisher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._publisher.stop()
        if self._session is not None:
            await self._session.close()

    async def run(
        self, *, rate_per_s: float, seconds: float, drain_s: float = 10.0, purposes: Sequence[str] = ("login",)
    ) -> Seen:
        """One load at an even pace, its requests for each of `purposes` in turn; answers what it saw. What no carrier
        has `drain_s` after the last one counts as failed."""
        seen, began, count = Seen(), time.monotonic(), int(rate_per_s * seconds)
        while seen.started < count:
            due = min(int((time.monotonic() - began) * rate_per_s) + 1, count)
            await self._publish(due - seen.started, seen, purposes)
            await paced(FEED_EVERY_S)
            await self._look(seen)
        seen.took_s = time.monotonic() - began
        return await self._drained(seen, drain_s)

    async def submit(self, count: int, purposes: Sequence[str]) -> None:
        """Publish so many requests, and look at nothing that becomes of them."""
        await self._publish(count, Seen(), purposes)
        self._asked.clear()

    async def at_once(self, count: int, *, drain_s: float) -> Seen:
        """So many requests in one go; `took_s` is how long it took until the last one was with its carrier."""
        seen, began = Seen(), time.monotonic()
        await self._publish(count, seen, ("login",))
        await self._drained(seen, drain_s)
        seen.took_s = time.monotonic() - began
        return seen

    async def _drained(self, seen: Seen, drain_s: float) -> Seen:
        seen.unfinished = len(self._asked)
        until = time.monotonic() + drain_s
        while self._asked and time.monotonic() < until:
            await paced(FEED_EVERY_S)
            await self._look(seen)
        seen.failed = len(self._asked)
        self._asked.clear()
        return seen

    async def _publish(self, count: int, seen: Seen, purposes: Sequence[str]) -> None:
        records = [self._request(purposes[(seen.started + index) % len(purposes)]) for index in range(count)]
        seen.started += count
        await self._publisher.publish(records)

    def _request(self, purpose: str) -> Outgoing:
        number = f"+{FIRST_NUMBER + self._next * STRIDE % NUMBERS}"
        self._next += 1
        self._asked[number] = (purpose, time.time())
        identity = uuid4().hex.encode()
        body = orjson.dumps({"to": number, "policy": "load", "purpose": purpose})
        return Outgoing(topics.INBOX, identity, body, (("ce_id", identity), *_HEADERS))

    async def _look(self, seen: Seen) -> None:
        for message in await self._phones.received():
            asked: Any = self._asked.pop(message["number"], None)
            if asked is not None:
                purpose, since = asked
                seen.carried(purpose, carried_at(message), since=since)
