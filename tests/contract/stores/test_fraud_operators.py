"""What operators do to fraud, on real Postgres under their own role: lifts are noted, refused sends asked for again,
rules exchanged while workers run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.support.pipeline import Pipeline
from tests.support.rows import pool_of
from watchword.events import topics
from watchword.fraud import rulesets
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.lifting import NOT_TOLD, By, Lifting, lifts
from watchword.fraud.rulesets import Rulesets
from watchword.runtime.apply import apply
from watchword.runtime.configuration import RULESET, SQL, ConfigurationWatch
from watchword.runtime.keyring import Keyring
from watchword.runtime.postgres import Pool, statements
from watchword.runtime.publishing import Publisher

ROLE = "operator"

STATEMENTS = statements("watchword.fraud", "lifting.sql")
RANGE = "range:+91987654@shop"
ANN = By("ann", "a launch")
HOUR = timedelta(hours=1)


@pytest.fixture
def lifting(stand: Pipeline, pool: Pool) -> Lifting:
    return Lifting(pool, Publisher(stand.cluster, client_id="nobody"))


async def topics_told(stand: Pipeline) -> list[str]:
    return [row["topic"] for row in await stand.connection.fetch("SELECT topic FROM outbox")]


async def test_what_kafka_does_not_take_is_not_lifted_and_both_notes_say_so(stand: Pipeline, lifting: Lifting) -> None:
    assert not (await lifting.lift(RANGE, ANN, HOUR)).told
    assert await lifts(stand.dsn) == []
    noted = await stand.connection.fetch("SELECT action, done_by, reason FROM fraud_lifts ORDER BY done_at")
    assert [tuple(row) for row in noted] == [("lifted", "ann", "a launch"), ("restored", "ann", NOT_TOLD)]
    assert await topics_told(stand) == []


async def test_a_lift_that_cannot_be_taken_back_is_not_noted_as_taken_back(
    stand: Pipeline, pool: Pool, lifting: Lifting
) -> None:
    until = datetime.now(UTC) + HOUR
    await pool.execute(STATEMENTS["note_lift"], uuid4(), RANGE, "lifted", until, "a launch", "ann")
    assert not (await lifting.restore(RANGE, By("bob", "it was an attack"))).told
    [lifted] = await lifts(stand.dsn)
    assert (lifted.feature, lifted.by, lifted.reason, lifted.until) == (RANGE, "ann", "a launch", until)
    await pool.execute(STATEMENTS["note_lift"], uuid4(), RANGE, "restored", until, "it was an attack", "bob")
    assert await lifts(stand.dsn) == []


async def test_nobody_rewrites_who_lifted_what(pool: Pool, lifting: Lifting) -> None:
    await lifting.lift(RANGE, ANN, HOUR)
    for statement in ("DELETE FROM fraud_lifts", "UPDATE fraud_lifts SET done_by = 'nobody'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_refused_sends_that_still_live_are_asked_for_again_once(stand: Pipeline, lifting: Lifting) -> None:
    live: dict[str, Any] = {"state": "issued", "sends_requested": 2, "sends_assessed": 2, "sends_issued": 1, "seq": 5}
    refused = await stand.verification(**live)
    await stand.verification(number="+919876543211", **(live | {"sends_issued": 2}))
    await stand.verification(number="+447700900123", country="GB", **live)
    await stand.verification(
        number="+919876543212", **(live | {"expires_at": datetime.now(UTC) + timedelta(seconds=20)})
    )
    assert await lifting.ask_again(RANGE) == 1
    row = await stand.row("SELECT sends_requested, sends_assessed, seq FROM verifications WHERE id = $1",
                          refused.verification_id)  # fmt: skip
    assert tuple(row) == (3, 2, 6)
    assert await topics_told(stand) == [topics.REQUESTS]
    assert await lifting.ask_again(RANGE) == 0


async def test_a_ruleset_is_taken_up_and_one_that_is_none_leaves_the_old_one_standing(
    stand: Pipeline, tmp_path: Path
) -> None:
    async with pool_of("fraud", stand.dsn) as pool:
        watch = ConfigurationWatch(pool, Keyring.load(stand.keyring_path, frozenset()))
        held = Rulesets(watch, DEFAULT)
        await watch.refresh()
        assert (held.live(), held.shadow()) == (DEFAULT, None)
        strict, lax = (msgspec.structs.replace(DEFAULT, version=name, delay_s=2.0) for name in ("strict", "lax"))
        assert await rulesets.load(stand.dsn, "live", strict) == 1
        assert await rulesets.load(stand.dsn, "shadow", lax) == 1
        await watch.refresh()
        assert (held.live(), held.shadow()) == (strict, lax)
        for version, broken in ((2, {"conversion": "high"}), (3, {"trickle": 7.0})):
            text = msgspec.json.encode(msgspec.to_builtins(DEFAULT) | broken).decode()
            await stand.connection.fetchval(SQL["insert"], RULESET, "live", version, text, "", False)
            await watch.refresh()
            assert held.live() == strict
        assert await rulesets.load(stand.dsn, "live", None) == 4
        assert await rulesets.load(stand.dsn, "live", None) == 0
        await watch.refresh()
        assert held.live() == DEFAULT


async def test_a_file_that_is_applied_and_prunes_leaves_rulesets_alone(stand: Pipeline, tmp_path: Path) -> None:
    await rulesets.load(stand.dsn, "live", DEFAULT)
    file = tmp_path / "shop.toml"
    file.write_text('[[tenants]]\nid = "shop"\ncountries = ["IN"]\n')
    await apply(stand.dsn, file, keyring=stand.keys, gateways=(), prune=True)
    assert not await stand.connection.fetchval("SELECT bool_or(retired) FROM configuration WHERE kind = 'ruleset'")
