"""A database with the pipeline's tables, and it as a module's role sees it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.pipeline import Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import pool_of, tables
from watchword.runtime.postgres import Pool


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """Migrated and configured, without a broker."""
    async with tables(database.dsn, tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def pool(request: pytest.FixtureRequest, stand: Pipeline) -> AsyncIterator[Pool]:
    """Connections under the role that the module names as `ROLE`."""
    async with pool_of(request.module.ROLE, stand.dsn) as made:
        yield made
