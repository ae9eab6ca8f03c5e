"""What pipeline tests ask for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support import kafka, postgres
from tests.support.pipeline import OwnKafka, Pipeline, pipeline
from watchword.local import kafka as servers


@pytest_asyncio.fixture
async def stand(
    broker: kafka.Cluster, database: postgres.FreshDatabase, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    """Topics, a database, keys and a configuration of this test's own."""
    async with pipeline(broker.bootstrap, database.dsn, topic_prefix, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def lasting_stand(
    broker: kafka.Cluster,
    database_server: postgres.Server,
    database_template: postgres.FreshDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Pipeline]:
    """The same for all tests of a module, where one life of a worker after another ends on it."""
    prefix = f"t{uuid4().hex[:12]}."
    async with (
        postgres.empty_database(database_server, template=database_template.name) as fresh,
        pipeline(broker.bootstrap, fresh.dsn, prefix, tmp_path_factory.mktemp("lasting")) as made,
    ):
        yield made


@pytest_asyncio.fixture
async def own_kafka(
    request: pytest.FixtureRequest, database: postgres.FreshDatabase, server_directory: Path, tmp_path: Path
) -> AsyncIterator[OwnKafka]:
    """A stand on a broker of this test's own."""
    broker = await asyncio.to_thread(servers.start, server_directory, prefer=request.config.getoption("--kafka"))
    try:
        async with pipeline(broker.bootstrap, database.dsn, "own.", tmp_path) as made:
            yield OwnKafka(made, broker)
    finally:
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.stop)
