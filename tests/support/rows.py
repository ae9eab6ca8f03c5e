"""Rows as the neighbours of a worker would have written them, on a database alone: no broker is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events.verification import Facts
from watchword.kernel.ids import attempt_id
from watchword.kernel.secret import Code
from watchword.runtime import keyring
from watchword.runtime.kafka import Cluster
from watchword.runtime.keyring import Purpose
from watchword.runtime.postgres import Pool, connect
from watchword.runtime.publishing import Publisher
from watchword.runtime.sealing import check_mac
from watchword.runtime.telling import Teller

NOWHERE = Cluster("127.0.0.1:1")
CODE = "493021"


@asynccontextmanager
async def tables(dsn: str, directory: Path) -> AsyncIterator[Pipeline]:
    """A database and keys, and nobody to publish to."""
    path = directory / "keyring.json"
    keyring.create(path, datetime.now(UTC))
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        yield Pipeline(NOWHERE, dsn, path, connection)
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def pool_of(worker: str, dsn: str) -> AsyncIterator[Pool]:
    """A pool under a worker's own role."""
    pool = await connect(dsn, worker=worker)
    try:
        yield pool
    finally:
        await pool.close()


def silent_teller(worker: str, pool: Pool) -> Teller:
    """A teller that was never started: what it is told stays in the outbox."""
    return Teller(worker, publisher=Publisher(NOWHERE, client_id="nobody"), pool=pool)


async def issued(stand: Pipeline, *, code: str = CODE, **columns: Any) -> Facts:
    """A verification whose code is `code`, as codes would have issued it."""
    stands: dict[str, Any] = {"state": "issued", "seq": 3, "sends_assessed": 1, "sends_issued": 1, "code_version": 1}
    about = await stand.verification(**(stands | columns))
    mac = check_mac(
        stand.keys.sealing(Purpose.PEPPER),
        tenant=about.tenant,
        verification=about.verification_id,
        number_token=about.number_token,
        purpose=about.purpose,
        binding_hash=columns.get("binding_hash", ""),
        code=Code(code),
    )
    await stand.connection.execute(
        "INSERT INTO codes (verification_id, version, mac, pepper_id, sealed) VALUES ($1, 1, $2, $3, '')",
        about.verification_id, mac, stand.keys.sealing(Purpose.PEPPER).id,
    )  # fmt: skip
    await stand.connection.execute(
        "INSERT INTO latest_verifications (tenant, number_token, purpose, verification_id) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant, number_token, purpose) DO UPDATE SET verification_id = EXCLUDED.verification_id",
        about.tenant, about.number_token, about.purpose, about.verification_id,
    )  # fmt: skip
    return about


async def attempt(stand: Pipeline, about: Facts, *, send_no: int = 1, try_no: int = 1, **columns: Any) -> UUID:
    """An attempt as codes and dispatch would have written it; queued, unless `columns` say otherwise."""
    identity = attempt_id(about.verification_id, send_no, try_no)
    values: dict[str, Any] = {
        "id": identity, "verification_id": about.verification_id, "send_no": send_no, "try_no": try_no,
        "code_version": 1, "send_deadline": datetime.now(UTC) + timedelta(seconds=200),
    } | columns  # fmt: skip
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await stand.connection.execute(f"INSERT INTO attempts ({', '.join(values)}) VALUES ({places})", *values.values())
    return identity


async def somebody_waits(stand: Pipeline) -> None:
    """Until somebody waits for a row that the transaction of `stand`'s own connection holds."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"

    async def one() -> bool:
        return bool(await stand.connection.fetchval(query))

    await eventually(one, within_s=5.0, what="somebody who waits for our row")
