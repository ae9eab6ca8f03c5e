"""`watchword erase`: a person is forgotten by one command, and what was counted stays."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.test_command_line import watchword
from tests.support.pipeline import CONFIGURATION, Pipeline
from tests.support.postgres import FreshDatabase
from tests.support.rows import issued, tables
from watchword.intake.subjects import UNREADABLE, Subjects
from watchword.kernel.secret import Phone
from watchword.runtime import aad
from watchword.runtime.apply import apply
from watchword.runtime.keyring import Purpose
from watchword.runtime.sealing import SealBroken, open_sealed

NUMBER, OTHER = "+919876543210", "+919876543211"


@pytest_asyncio.fixture
async def stand(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with tables(database.dsn, tmp_path) as made:
        await apply(made.dsn, CONFIGURATION, keyring=made.keys, gateways=frozenset({"echo", "template"}))
        yield made


def erase(stand: Pipeline, *words: str, number: str = NUMBER) -> "tuple[int, str]":
    done = watchword("erase", "--to", number, *words, postgres=stand.dsn, keyring=str(stand.keyring_path))
    assert number[4:] not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


async def test_the_number_cannot_be_read_any_more_and_everything_else_stays(stand: Pipeline) -> None:
    about, kept = await issued(stand), await issued(stand, number=OTHER)
    before = await stand.connection.fetch("SELECT * FROM verifications ORDER BY id")
    assert erase(stand, "--dry-run")[0] == 0
    assert await stand.connection.fetchval("SELECT count(*) FROM subjects") == 2
    code, told = erase(stand, "--reason", "letter of 3 May", "--by", "mara")
    assert (code, told.splitlines()[0].split()[:2]) == (0, ["erased", "shop"])
    assert await stand.connection.fetch("SELECT * FROM verifications ORDER BY id") == before
    assert [one["number_token"] for one in await stand.connection.fetch("SELECT * FROM subjects")] == [
        kept.number_token
    ]
    noted = await stand.row("SELECT tenant, number_token, reason, done_by FROM erasures")
    assert tuple(noted) == ("shop", about.number_token, "letter of 3 May", "mara")


async def test_no_table_gives_the_number_back_and_its_neighbour_is_still_shown(stand: Pipeline) -> None:
    """With every key there is: the number was sealed under a key of its own, and that one is gone."""
    about, kept = await issued(stand), await issued(stand, number=OTHER)
    assert erase(stand)[0] == 0
    sealed = await stand.connection.fetch(
        "SELECT v.tenant, v.number_token, v.country, v.number_sealed, s.wrapped_key FROM verifications AS v "
        "LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token"
    )
    shown = {row["number_token"]: Subjects(stand.keys).shown(row) for row in sealed}
    assert shown == {about.number_token: UNREADABLE.masked(), kept.number_token: Phone(OTHER).masked()}
    everybody = [key for purpose in Purpose for key in stand.keys.opening(purpose)]
    [row] = [row for row in sealed if row["number_token"] == about.number_token]
    with pytest.raises(SealBroken):
        open_sealed(everybody, row["number_sealed"], aad.number("shop", about.number_token))
    tables = await stand.connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        rows = await stand.connection.fetch(f'SELECT * FROM "{table}"')
        assert NUMBER[1:] not in repr([tuple(each) for each in rows]), table


async def test_what_is_kept_nowhere_is_erased_by_nobody(stand: Pipeline) -> None:
    await issued(stand)
    code, told = erase(stand, "--json", number=OTHER)
    assert (code, json.loads(told)) == (0, {"erased": False, "kept": []})
    assert await stand.connection.fetchval("SELECT count(*) FROM erasures") == 0


async def test_words_that_are_wrong_end_in_2_and_change_nothing(stand: Pipeline) -> None:
    await issued(stand)
    for words, number in ((("--tenant", "nobody"), NUMBER), ((), "98765"), (("--reason", " "), NUMBER)):
        assert erase(stand, *words, number=number)[0] == 2
    assert await stand.connection.fetchval("SELECT count(*) FROM subjects") == 1
