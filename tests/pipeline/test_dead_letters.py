"""`watchword dead` on real topics and tables."""

import asyncpg
import pytest

from tests.support.commands import publish, watchword
from tests.support.history import History
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.dead.dealing import By, ledger
from watchword.dead.letters import letter_of
from watchword.events import topics
from watchword.events.verification import Facts

DEAD = topics.dead(topics.ASSESSMENTS)


async def bury(stand: Pipeline, *values: bytes) -> None:
    """Have codes bury what it cannot read."""
    async with stand.running("codes"):
        for value in values:
            await stand.publish_raw(topics.ASSESSMENTS, b"key", value)

        async def buried() -> bool:
            return len(await stand.records(DEAD)) == len(values)

        await eventually(buried, within_s=20, what="dead letters")
        await stand.outbox_is_empty()


async def bury_an_assessment(stand: Pipeline) -> Facts:
    """An assessment that came before its verification: poison then, and good once the row is there."""
    about = await stand.verification(seq=2, sends_assessed=1)
    row = await stand.row("SELECT * FROM verifications")
    await stand.connection.execute("CREATE TABLE kept AS SELECT * FROM verifications")
    await stand.connection.execute("DELETE FROM verifications")
    async with stand.running("codes"):
        await publish(stand, History(about).requested().assessed().told[1])

        async def buried() -> bool:
            return len(await stand.records(DEAD)) == 1

        await eventually(buried, within_s=20, what="a dead letter")
        await stand.outbox_is_empty()
    await stand.connection.execute("INSERT INTO verifications SELECT * FROM kept")
    assert row["id"] == about.verification_id
    return about


async def test_ls_groups_by_topic_and_reason_and_show_masks_the_value(stand: Pipeline) -> None:
    await bury(stand, b'{"to":"+919876543210"}', b"\xff", b"{}")
    told = await watchword(stand, "dead", "ls", "--json")
    [group] = told.json
    assert (group["topic"], group["reason"], group["count"]) == (DEAD, "unreadable", 3)
    shown = await watchword(stand, "dead", "show", group["example"], "--json")
    assert shown.code == 0, shown.err
    assert shown.json["value"] == {"to": "••••"}
    assert shown.json["detail"].startswith("missing header")
    assert "9876543210" not in shown.out
    assert DEAD in (await watchword(stand, "dead", "ls")).out


async def test_show_of_a_place_without_a_letter_says_so(stand: Pipeline) -> None:
    told = await watchword(stand, "dead", "show", f"{DEAD}/0/3")
    assert told.code == 1
    assert "there is no letter" in told.err
    wrong = await watchword(stand, "dead", "show", "elsewhere/0/3")
    assert wrong.code == 2


async def test_redriven_letter_is_carried_out_under_its_old_id_and_leaves_a_trail(stand: Pipeline) -> None:
    about = await bury_an_assessment(stand)
    named = ("--topic", "assessments", "--from", "1h")
    dry = await watchword(stand, "dead", "redrive", *named, "--reason", "row is there", "--dry-run")
    assert "1 would be sent again" in dry.out
    none = await watchword(stand, "dead", "discard", "--topic", "lifecycle", "--reason", "row is there", "--dry-run")
    assert "0 would be discarded" in none.out
    assert len(await stand.records(topics.ASSESSMENTS)) == 1
    told = await watchword(
        stand, "dead", "redrive", "--where", f"verification_id = {about.verification_id}",
        "--reason", "the row is there now", "--by", "ann",
    )  # fmt: skip
    assert (told.code, told.out) == (0, "1 sent again\n"), told.err
    first, again = await stand.records(topics.ASSESSMENTS)
    assert (first.key, first.value, list(first.headers)) == (again.key, again.value, list(again.headers))
    async with stand.running("codes"):
        await stand.told(topics.DISPATCH, count=1)
        await stand.outbox_is_empty()
    assert (await watchword(stand, "dead", "ls")).out == "no dead letters\n"
    [action] = (await watchword(stand, "dead", "ls", "--done", "--json")).json
    assert (action["place"], action["action"], action["done_by"]) == (f"{DEAD}/0/0", "redriven", "ann")
    assert action["reason"] == "the row is there now"


async def test_letter_that_is_still_poison_becomes_a_new_letter(stand: Pipeline) -> None:
    await bury(stand, b"\xff")
    await watchword(stand, "dead", "redrive", f"{DEAD}/0/0", "--reason", "hope")
    async with stand.running("codes"):

        async def again() -> bool:
            return len(await stand.records(DEAD)) == 2

        await eventually(again, within_s=20, what="a second letter")
    [group] = (await watchword(stand, "dead", "ls", "--json")).json
    assert (group["count"], group["example"]) == (1, f"{DEAD}/0/1")


async def test_discarded_letter_is_not_listed_any_more_and_nothing_is_sent(stand: Pipeline) -> None:
    await bury(stand, b"\xff", b"\xfe")
    told = await watchword(stand, "dead", "discard", f"{DEAD}/0/1", "--reason", "a stranger's", "--json")
    assert (told.code, told.json["count"]) == (0, 1), told.err
    [group] = (await watchword(stand, "dead", "ls", "--json")).json
    assert group["count"] == 1
    assert len(await stand.records(topics.ASSESSMENTS)) == 2
    row = await stand.row("SELECT action, reason FROM dead_letter_actions")
    assert tuple(row) == ("discarded", "a stranger's")


async def test_withheld_letter_stays_where_it_is(stand: Pipeline) -> None:
    why = [("wwd_reason", b"code_refused"), ("wwd_topic", topics.INBOX.encode())]
    await stand.publish_raw(topics.dead(topics.INBOX), b"r-1", None, why)
    told = await watchword(stand, "dead", "redrive", "--where", "topic", "--reason", "try")
    assert (told.code, told.out) == (0, "0 sent again\n")
    assert "its value was withheld" in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("redrive", "--where", "topic"), "reason"),
        (("redrive", "--reason", "because"), "say which letters"),
        (("discard", "--reason", "because"), "say which letters"),
        (("discard", "--where", "topic", "--reason", "  "), "it cannot be empty"),
        (("redrive", "nowhere/0/0", "--reason", "because"), "no place of a dead letter"),
    ],
)
async def test_what_is_not_said_fully_is_refused(stand: Pipeline, words: tuple[str, ...], told: str) -> None:
    ran = await watchword(stand, "dead", *words)
    assert ran.code == 2
    assert told in ran.err


async def test_operators_may_write_what_they_did_and_nothing_else(stand: Pipeline) -> None:
    async with ledger(stand.dsn) as kept:
        assert await kept.done() == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await kept._pool.execute("DELETE FROM dead_letter_actions")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await kept._pool.fetch("SELECT * FROM verifications")


async def test_letter_is_dealt_with_once(stand: Pipeline) -> None:
    await bury(stand, b"\xff")
    [record] = await stand.records(DEAD)
    letter = letter_of(record, DEAD)
    async with ledger(stand.dsn) as kept:
        assert await kept.record([letter], "discarded", By("ann", "first")) == 1
        assert await kept.record([letter], "redriven", By("bob", "second")) == 0
        assert [(each.done_by, each.action) for each in await kept.done()] == [("ann", "discarded")]
