"""intake when Kafka or Postgres is away: nothing that was accepted is lost, nothing is charged for what was not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.support.intake import intake
from tests.support.kafka import Cluster
from tests.support.pipeline import Pipeline, pipeline
from tests.support.postgres import FreshDatabase
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.local import kafka
from watchword.local import postgres as local_postgres
from watchword.local.kafka import Broker
from watchword.local.postgres import Database
from watchword.runtime.migrations import migrate

NUMBERS = [f"+91987654{index:04d}" for index in range(12)]


@pytest.fixture
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A broker that this test may stop."""
    directory = tmp_path / "kafka"
    directory.mkdir()
    broker = kafka.start(directory, prefer=request.config.getoption("--kafka"))
    yield broker
    broker.kill()
    broker.stop()


@pytest_asyncio.fixture
async def own_stand(
    own_broker: Broker, database: FreshDatabase, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    """A stand on a broker of this test's own."""
    async with pipeline(own_broker.bootstrap, database.dsn, topic_prefix, tmp_path) as made:
        yield made


async def test_while_kafka_is_away_requests_are_taken_until_they_would_come_too_late(
    own_broker: Broker, own_stand: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHWORD_INTAKE_BACKLOG_MAX_S", "2")
    stand = own_stand
    async with intake(stand) as platform:
        own_broker.freeze()
        answers = await asyncio.gather(*(platform.start(to) for to in NUMBERS))
        assert {each.status for each in answers} == {202}
        assert await platform.count("outbox") == len(NUMBERS)

        async def is_late() -> bool:
            return (await platform.call("POST", f"/v1/verifications/{answers[0].body['id']}/resend", {})).status == 503

        await eventually(is_late, within_s=10, what="the backlog to be seen")
        charged = await stand.connection.fetch("SELECT * FROM limits ORDER BY key")
        refused = await platform.start("+919112345678")
        assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (503, "overloaded", "5")
        assert await stand.connection.fetch("SELECT * FROM limits ORDER BY key") == charged
        own_broker.thaw()
        told = await stand.told(topics.REQUESTS, count=len(NUMBERS))
        assert {each.key for each in told} == {each.body["id"] for each in answers}
        await stand.outbox_is_empty()

        async def is_well() -> bool:
            return (await platform.start("+919112345678")).status == 202

        await eventually(is_well, within_s=10, what="the door to open again")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Database]:
    """A Postgres that this test may kill."""
    directory = tmp_path / "postgres"
    directory.mkdir()
    server = local_postgres.start(directory)
    yield server
    server.stop()


async def test_while_postgres_is_away_nothing_is_taken_and_afterwards_everything_goes_on(
    broker: Cluster, own_server: Database, topic_prefix: str, tmp_path: Path
) -> None:
    await migrate(own_server.dsn)
    asking: dict[str, Any] = {"repeat": "order-7"}
    async with (
        pipeline(broker.bootstrap, own_server.dsn, topic_prefix, tmp_path) as stand,
        intake(stand) as platform,
    ):
        own_server.kill()
        refused = await platform.start(NUMBERS[0], **asking)
        assert (refused.status, refused.body["code"]) == (503, "unavailable")
        assert "Retry-After" in refused.headers
        headers = [
            ("ce_specversion", b"1.0"), ("ce_id", b"req-1"), ("ce_source", b"/shop/checkout"),
            ("ce_type", b"otp.verification-submitted.v1"),
        ]  # fmt: skip
        await stand.publish_raw(topics.INBOX, b"req-1", b'{"to":"+919112345678"}', headers)
        own_server.restart()

        async def is_taken() -> bool:
            return (await platform.start(NUMBERS[0], **asking)).status == 202

        await eventually(is_taken, within_s=20, what="the door to open again")
        await stand.told(topics.REQUESTS, count=2)
        anew = await asyncpg.connect(own_server.dsn, timeout=10)
        assert await anew.fetchval("SELECT count(*) FROM verifications") == 2
        await anew.close(timeout=10)
