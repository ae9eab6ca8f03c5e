"""One worker, real, between real servers: what pipeline tests stand on.

`Pipeline` has topics and a database of its own, a keyring, and a small configuration. `running` starts workers in
this process exactly as `watchword run` would; the neighbours are played by publishing and reading.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import uuid_utils
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.onlooker import Onlooker
from tests.support.waiting import eventually
from watchword.events import envelope as envelopes
from watchword.events.catalog import decode
from watchword.events.envelope import Envelope
from watchword.events.verification import Facts
from watchword.gateways.catalog import ALL
from watchword.kernel.event import Emit, Event
from watchword.kernel.policy import Policy
from watchword.kernel.secret import Phone
from watchword.local.kafka import Broker
from watchword.runtime import aad, keyring, outbox
from watchword.runtime.apply import Applied, apply
from watchword.runtime.kafka import Cluster
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.outbox import Origin
from watchword.runtime.process import Process, chosen
from watchword.runtime.sealing import new_data_key, seal, token, wrap
from watchword.runtime.settings import RuntimeSettings
from watchword.runtime.topics import create_topics

CONFIGURATION = Path(__file__).with_name("configuration.toml")
PATIENCE_S = 40.0
PARTITIONS = 2  # enough to show that keys go to different ones; every partition costs the shared broker


@dataclass(frozen=True, slots=True)
class Read:
    """One record as a consumer sees it."""

    event: Event
    envelope: Envelope
    key: str
    headers: dict[str, bytes]
    value: bytes | None


@dataclass
class Pipeline:
    """Servers, names, keys and helpers of one test."""

    cluster: Cluster
    dsn: str
    keyring_path: Path
    connection: "asyncpg.Connection[asyncpg.Record]"
    applied: Applied | None = None
    producer: AIOKafkaProducer = field(init=False)
    onlooker: Onlooker = field(init=False)

    def __post_init__(self) -> None:
        self.onlooker = Onlooker(self.cluster)

    @property
    def keys(self) -> Keyring:
        """Every key, for playing any neighbour."""
        return Keyring.load(self.keyring_path, frozenset(Purpose))

    def settings(self, **changes: Any) -> RuntimeSettings:
        """Settings of a worker process of this test."""
        told = {
            "postgres": self.dsn,
            "kafka": self.cluster.bootstrap,
            "keyring": str(self.keyring_path),
            "topic_prefix": self.cluster.topic_prefix,
            "group_prefix": self.cluster.group_prefix,
            "http_port": 0,
            "receipts_http_port": 0,
            **changes,
        }
        return RuntimeSettings(**told)

    @asynccontextmanager
    async def running(self, names: str, **changes: Any) -> AsyncIterator[Process]:
        """Workers, started as `watchword run` starts them, in this process."""
        process = Process(self.settings(**changes), chosen(names))
        try:
            await process.start()
            yield process
        finally:
            await process.stop()

    async def configure(self, path: Path, **words: str) -> Applied:
        """Apply a configuration file; `${word}` in it is replaced."""
        text = path.read_text("utf-8")
        for word, value in words.items():
            text = text.replace("${" + word + "}", value)
        file = self.keyring_path.with_name("configuration.toml")
        file.write_text(text, "utf-8")
        self.applied = await apply(self.dsn, file, keyring=self.keys, gateways=frozenset(ALL))
        return self.applied

    async def publish(self, event: Event, *, subject: str, key: str = "", ordinal: int = 0, topic: str = "") -> None:
        """Publish one event as its writer would, acknowledged."""
        emit = Emit(event, subject, ordinal, topic, key)
        row = outbox.row(emit, Origin("test", datetime.now(UTC)), sequence=1)
        await self.publish_raw(row.topic, row.key, row.value, row.headers)

    async def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Publish any bytes."""
        await asyncio.wait_for(
            self.producer.send_and_wait(self.cluster.topic_prefix + topic, value, key=key, headers=list(headers)), 10
        )

    async def read(self, topic: str) -> list[Read]:
        """Everything on a topic so far, decoded; dead letters decode to what they were."""
        return [_read(record) for record in await self.records(topic)]

    async def records(self, topic: str) -> list[Any]:
        """Every record on a topic so far, partition by partition."""
        return await self.onlooker.records(self.cluster.topic_prefix + topic, self.producer.partitions_for)

    async def told(self, topic: str, *, count: int, name: str = "") -> list[Read]:
        """The first moment at which `count` events (named `name`) are on `topic`, all of them."""

        async def enough() -> list[Read]:
            found = [each for each in await self.read(topic) if not name or name == each.event.NAME]
            return found if len(found) >= count else []

        return await eventually(enough, within_s=PATIENCE_S, what=f"{count} {name or 'events'} on {topic}")

    async def row(self, query: str, *arguments: Any) -> asyncpg.Record:
        """One row; fails the test if there is none."""
        found = await self.connection.fetchrow(query, *arguments)
        assert found is not None, f"no row for {query}"
        return found

    async def outbox_is_empty(self) -> None:
        """Wait until everything told is published and deleted."""

        async def empty() -> bool:
            return bool(await self.connection.fetchval("SELECT count(*) FROM outbox") == 0)

        await eventually(empty, within_s=PATIENCE_S, what="an empty outbox")

    async def verification(self, *, number: str = "+919876543210", **columns: Any) -> Facts:
        """A verification as intake would have written it, one of a newer version: its rules have a field that nobody
        here knows. `columns` replace what it would say."""
        identity = columns.pop("id", None) or UUID(str(uuid_utils.uuid7()))
        number_token = token(self.keys.tenant_key(Purpose.NUMBER_TOKEN, "shop"), number)
        data_key = new_data_key()
        now = datetime.now(UTC)
        rules = Policy(id="default", tenant="shop", template="default", **columns.pop("rules", {}))
        newer = {**msgspec.to_builtins(rules), "of_a_newer_version": True}
        values: dict[str, Any] = {
            "id": identity, "tenant": "shop", "number_token": number_token,
            "number_sealed": seal(data_key, Phone(number).reveal().encode(), aad.number("shop", number_token)),
            "country": "IN", "range": number[:-4], "number_type": "mobile", "purpose": "login", "channel": "sms",
            "policy": "default", "policy_version": 1, "rules": msgspec.json.encode(newer).decode(), "locale": "en",
            "template": "", "reference": "", "binding": "{}", "binding_hash": "", "signals": "{}", "seq": 1,
            "checks_max": 5, "created_at": now, "expires_at": now + timedelta(seconds=300),
            "next_send_at": now, "due_at": now + timedelta(seconds=300),
        } | columns  # fmt: skip
        wrapped = wrap(self.keys.sealing(Purpose.SUBJECT), data_key, tenant="shop", number_token=number_token)
        await self.connection.execute(
            "INSERT INTO subjects (tenant, number_token, wrapped_key) VALUES ($1, $2, $3) "
            "ON CONFLICT (tenant, number_token) DO UPDATE SET wrapped_key = EXCLUDED.wrapped_key",
            "shop", number_token, wrapped,
        )  # fmt: skip
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await self.connection.execute(
            f"INSERT INTO verifications ({', '.join(values)}) VALUES ({places})", *values.values()
        )
        named = {name: values[name] for name in Facts.__struct_fields__ if name in values}
        return Facts(verification_id=identity, **named)


@dataclass(frozen=True, slots=True)
class OwnKafka:
    """A pipeline whose broker may fall silent: nobody else is on it."""

    stand: Pipeline
    broker: Broker


def _read(record: Any) -> Read:
    told = envelopes.read(record.headers)
    event = decode(told.type, record.value)
    return Read(event, told, (record.key or b"").decode(), dict(record.headers), record.value)


@asynccontextmanager
async def pipeline(bootstrap: str, dsn: str, prefix: str, directory: Path) -> AsyncIterator[Pipeline]:
    """A `Pipeline` with its topics made, its keys drawn and `configuration.toml` applied. What does not wait for each
    other is done at once: two hundred tests begin and end here."""
    cluster = Cluster(bootstrap=bootstrap, topic_prefix=prefix, group_prefix=prefix)
    path = directory / "keyring.json"
    keyring.create(path, datetime.now(UTC))
    made, connection = await asyncio.gather(
        create_topics(cluster, production=False, partitions_max=PARTITIONS), asyncpg.connect(dsn, timeout=10)
    )
    stand = Pipeline(cluster, dsn, path, connection)
    stand.producer = AIOKafkaProducer(**cluster.options(), acks="all", enable_idempotence=True)
    try:
        await asyncio.gather(stand.producer.start(), stand.configure(CONFIGURATION))
        yield stand
    finally:
        await asyncio.gather(
            stand.onlooker.stop(), stand.producer.stop(), connection.close(timeout=10), _delete(cluster, made)
        )


async def _delete(cluster: Cluster, names: list[str]) -> None:
    """Ask the broker to forget a test's topics: hundreds of them would slow down every test after it."""
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        await admin.delete_topics(names, timeout_ms=10_000)
    finally:
        await admin.close()
