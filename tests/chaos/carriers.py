"""What carriers and strangers do wrong: refusals, silence after the message was taken, receipts in any number and
order, receipts that nobody sent, and events that cannot be read."""

import itertools
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from tests.chaos.faults import Fault
from tests.chaos.installation import CARRIERS, Installation
from tests.support.waiting import paced
from watchword.contracts import topics as contract
from watchword.events import topics
from watchword.events.catalog import EVENTS

WRONG: dict[str, dict[str, Any]] = {
    "carrier answers 5xx": {"errors": {"temporary": 0.3, "ambiguous": 0.2}},
    "carrier throttles": {"errors": {"throttled": 0.5}},
    "carrier silent after accept": {"timeouts_after": 0.3},
    "carrier silent before accept": {"timeouts_before": 0.3},
    "carrier slow": {"latency_ms": {"kind": "lognormal", "median": 800, "sigma": 0.8, "max": 4_000}},
    "carrier away: refuses": {"down": True},
    "carrier away: resets": {"down": True, "outage_answer": "reset"},
    "carrier away: hangs": {"down": True, "outage_answer": "hang"},
    "receipts twice": {"receipt_duplicates": 0.8},
    "receipts late": {"receipt_late": 0.8},
    "receipts early": {"receipt_early": 0.8},
    "receipts reversed": {"receipt_reordered": 0.8},
}
FORGED_A_TIME = 20
# Events on these have one reader, which must bury what it cannot read. Elsewhere a reader may pass over what is not for
# it, and signals are advisory: on a rebalance the judge's stream may skip one.
BURIED = frozenset({topics.INBOX, topics.REQUESTS, topics.ASSESSMENTS, topics.DISPATCH, topics.RECEIPTS})
BROKEN_VALUES = (b"{", b"[]", b'{"verification_id": 7}')

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be read, and where it lies."""

    place: Place
    event: str
    major: int


class Strangers:
    """Everything wrong that comes from outside. `poison` and `forged` are what was put where."""

    def __init__(self, made: Installation, draw: random.Random) -> None:
        self._made = made
        self._draw = draw
        self._numbers = itertools.count()
        self.poison: list[Poison] = []
        self.forged: list[int] = []

    def faults(self) -> list[Fault]:
        """Every fault there is."""
        found = [Fault(kind, self._misbehaving(changes)) for kind, changes in WRONG.items()]
        return [*found, Fault("receipts forged", self._forge), *self._poisons()]

    def _misbehaving(self, changes: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        async def misbehave() -> None:
            chosen = [name for name in CARRIERS if self._draw.random() < 0.6] or [self._draw.choice(CARRIERS)]
            for name in chosen:
                await self._made.behave(name, **changes)
            try:
                await paced(self._draw.uniform(2, 6))
            finally:
                for name in chosen:
                    await self._made.behave(name)

        return misbehave

    async def _forge(self) -> None:
        """Reports of attempts that are real, signed by somebody who has not the secret."""
        ledger = await self._made.carriers.ledger()
        for reference in list(ledger)[-FORGED_A_TIME:]:
            event = {"id": "forged", "client_ref": reference, "state": "undelivered", "code": "", "network": "00101"}
            headers = {"X-Echo-Signature": f"t=1,v1={'0' * 64}", "Content-Type": "application/json"}
            url = f"{self._made.stack.receipts_url}/receipts/alpha"
            body = orjson.dumps({"events": [event]})
            async with self._made.session.post(url, data=body, headers=headers) as answer:
                self.forged.append(answer.status)

    def _poisons(self) -> Iterator[Fault]:
        for event in EVENTS:
            for major in range(1, event.MAJOR + 1):
                yield Fault(f"poison {event.NAME} v{major}", self._poisoning(event.NAME, major))

    def _poisoning(self, name: str, major: int) -> Callable[[], Awaitable[None]]:
        where = [each.name for each in contract.topics() if name in each.events]

        async def poison() -> None:
            """Past the proxy: whoever poisons is no part of what the network does to us."""
            options = self._made.stack.cluster.options()
            producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
            try:
                await producer.start()
                for topic, value in itertools.product(where, BROKEN_VALUES):
                    number = next(self._numbers)
                    headers = [
                        ("ce_specversion", b"1.0"),
                        ("ce_id", b"poison-%d" % number),
                        ("ce_source", b"/demo/shop"),
                        ("ce_type", f"otp.{name}.v{major}".encode()),
                        ("content-type", b"application/json"),
                    ]
                    told = await producer.send_and_wait(topic, value, key=b"%d" % (number % 16), headers=headers)
                    self.poison.append(Poison((topic, told.partition, told.offset), name, major))
            finally:
                await producer.stop()

        return poison
