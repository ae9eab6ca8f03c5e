"""What pipeline tests ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support import kafka, postgres
from tests.support.pipeline import Pipeline, pipeline


@pytest_asyncio.fixture
async def stand(
    broker: kafka.Cluster, database: postgres.FreshDatabase, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    """Topics, a database, keys and a configuration of this test's own."""
    async with pipeline(broker.bootstrap, database.dsn, topic_prefix, tmp_path) as made:
        yield made
