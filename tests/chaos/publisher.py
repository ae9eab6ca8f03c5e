"""A platform that asks through the Kafka door, and asks again under the same id until its broker has it."""

import asyncio
from types import TracebackType
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.users import User
from tests.support.waiting import paced
from watchword.events import topics

PUBLISH_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0
AGAIN_AFTER_S = 1.0


class Publisher:
    """One producer, made anew after every failure: what it did not acknowledge may be on the topic or not."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._producer: AIOKafkaProducer | None = None
        self._making = asyncio.Lock()

    async def __aenter__(self) -> "Publisher":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._discard()

    async def publish(self, user: User) -> None:
        """One user's request, until it is acknowledged."""
        value = orjson.dumps(
            {"to": user.number, "reference": user.reference, "policy": "load", "purpose": user.purpose}
        )
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", user.reference.encode()),
            ("ce_source", b"/demo/shop"),
            ("ce_type", b"otp.verification-submitted.v1"),
            ("content-type", b"application/json"),
        ]
        while True:
            try:
                async with asyncio.timeout(PUBLISH_WITHIN_S):
                    producer = await self._current()
                    await producer.send_and_wait(topics.INBOX, value, key=user.reference.encode(), headers=headers)
                return
            except (KafkaError, OSError, TimeoutError):
                await self._discard()
                await paced(AGAIN_AFTER_S)

    async def _current(self) -> AIOKafkaProducer:
        async with self._making:
            if self._producer is None:
                made = AIOKafkaProducer(**self._options, acks="all", enable_idempotence=True, request_timeout_ms=5_000)
                try:
                    await made.start()
                except BaseException:
                    await _stopped(made)
                    raise
                self._producer = made
        return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stopped(producer)


async def _stopped(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError):
        return
