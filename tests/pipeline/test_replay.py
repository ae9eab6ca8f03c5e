"""`watchword replay` on real topics and tables."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from tests.support.commands import begun, publish, watchword
from tests.support.history import History, approved, some_facts
from tests.support.pipeline import PARTITIONS, Pipeline
from watchword.events import topics
from watchword.events.verification import Facts
from watchword.replay.timeline import read_timeline


async def test_show_tells_a_life_in_order_with_its_gap_and_its_repeats(stand: Pipeline) -> None:
    history = approved()
    await publish(stand, *(told for told in history.told if told.sequence != 7), history.told[3], approved())
    identity = str(history.about.verification_id)
    told = await watchword(stand, "replay", "show", identity, "--json")
    assert told.code == 0, told.err
    moments = told.json["moments"]
    assert [moment["ce"]["sequence"] for moment in moments] == [1, 2, 3, 4, 5, 6, 8, 9]
    assert [moment["event"] for moment in moments][:3] == [
        "verification-requested",
        "verification-assessed",
        "code-issued",
    ]
    assert told.json["gaps"] == [7]
    assert [moment["repeats"] for moment in moments] == [0, 0, 0, 1, 0, 0, 0, 0]
    shown = await watchword(stand, "replay", "show", identity)
    assert "(missing)" in shown.out
    assert "(read 2 times)" in shown.out
    assert "missing: 7" in shown.err


async def test_show_of_what_nobody_told_says_so(stand: Pipeline) -> None:
    told = await watchword(stand, "replay", "show", str(some_facts().verification_id))
    assert (told.code, told.out) == (1, "")
    assert "no topic tells of it" in told.err


async def test_dead_letter_and_poison_under_its_key_are_part_of_the_life(stand: Pipeline) -> None:
    history = History().requested()
    await publish(stand, history)
    key = str(history.about.verification_id).encode()
    await stand.publish_raw(topics.dead(topics.DISPATCH), key, b"\xff not an event", [("wwd_reason", b"unreadable")])
    told = await watchword(stand, "replay", "show", str(history.about.verification_id), "--json")
    assert [entry["topic"] for entry in told.json["unreadable"]] == ["otp.dispatch.v1.dead"]


async def test_grep_finds_by_expression_and_exits_1_where_there_is_nothing(stand: Pipeline) -> None:
    one, other = approved(), History().requested().assessed().issued().ended("expired", "time_over")
    await publish(stand, one, other)
    told = await watchword(stand, "replay", "grep", "--where", "state = expired and ce.sequence > 2", "--json")
    assert told.code == 0, told.err
    assert [line["verification_id"] for line in told.lines] == [str(other.about.verification_id)]
    nothing = await watchword(stand, "replay", "grep", "--where", "state = locked")
    assert (nothing.code, nothing.out) == (1, "")
    wrong = await watchword(stand, "replay", "grep", "--where", "state =")
    assert wrong.code == 2
    assert "ends where a value" in wrong.err


async def test_number_on_the_inbox_is_never_shown(stand: Pipeline) -> None:
    headers = [
        ("ce_specversion", b"1.0"), ("ce_id", b"r-1"), ("ce_source", b"/shop/checkout"),
        ("ce_type", b"otp.verification-submitted.v1"),
    ]  # fmt: skip
    await stand.publish_raw(topics.INBOX, b"r-1", b'{"to":"+919876543210","purpose":"login"}', headers)
    for format_ in ((), ("--json",)):
        told = await watchword(stand, "replay", "grep", "--topic", "inbox", "--where", "purpose = login", *format_)
        assert told.code == 0, told.err
        assert "verification-submitted" in told.out
        assert "9876543210" not in told.out + told.err


async def test_bounds_in_time_leave_out_what_was_appended_before_and_after(stand: Pipeline) -> None:
    now = datetime.now(UTC)
    for hours in (3, 2, 1):
        row = History(some_facts(reference=f"{hours}h")).requested().told[0].row
        await stand.producer.send_and_wait(
            stand.cluster.topic_prefix + row.topic, row.value, key=row.key, headers=list(row.headers),
            timestamp_ms=int((now - timedelta(hours=hours)).timestamp() * 1000),
        )  # fmt: skip
    told = await watchword(stand, "replay", "grep", "--from", "150m", "--to", "90m", "--json")
    assert [line["reference"] for line in told.lines] == ["2h"]


async def test_dry_run_says_what_would_be_read_and_reads_nothing(stand: Pipeline) -> None:
    await publish(stand, approved())
    told = await watchword(stand, "replay", "grep", "--topic", "otp.lifecycle", "--dry-run", "--json")
    [slices] = told.lines
    assert {each["topic"] for each in slices} == {topics.LIFECYCLE}
    assert sum(each["count"] for each in slices) == 6
    folded = await watchword(stand, "replay", "fold", "--dry-run")
    assert "9 records" in folded.out
    assert "nothing was read" in folded.out


async def test_tail_shows_what_comes_and_ends_cleanly_on_ctrl_c(stand: Pipeline) -> None:
    old, new = approved(), approved()
    await publish(stand, old)
    async with begun(stand, "replay", "tail", "--tenant", "shop", "--from", "1h") as process:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            seen = [await process.stdout.readline() for _ in old.told]
            await publish(stand, new.told[0])
            line = (await process.stdout.readline()).decode()
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
    assert len(seen) == 9
    assert str(new.about.verification_id) in line
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_fold_into_sqlite_holds_the_state_as_of_a_moment_and_overwrites_nothing(
    stand: Pipeline, tmp_path: Path
) -> None:
    history = approved()
    await publish(stand, history)
    file = tmp_path / "state.sqlite"
    moment = history.told[3].at.isoformat()
    told = await watchword(stand, "replay", "fold", "--as-of", moment, "--into", f"sqlite:{file}")
    assert told.code == 0, told.err
    with closing(sqlite3.connect(file)) as read:
        assert read.execute("SELECT state, seq FROM verifications").fetchall() == [("issued", 4)]
        assert read.execute("SELECT state, try_no FROM attempts").fetchall() == [("queued", 1)]
        assert dict(read.execute("SELECT * FROM fold"))["read"] == "9"
    again = await watchword(stand, "replay", "fold", "--into", f"sqlite:{file}")
    assert again.code == 1
    assert "is there already" in again.err


async def test_fold_into_postgres_makes_a_schema_of_its_own(stand: Pipeline) -> None:
    history = approved()
    await publish(stand, history)
    dsn = urlsplit(stand.dsn)
    place = f"postgres:{dsn._replace(path=dsn.path + '/as_told').geturl()}"
    told = await watchword(stand, "replay", "fold", "--into", place, "--json")
    assert told.code == 0, told.err
    row = await stand.row("SELECT id, state, checks_used FROM as_told.verifications")
    assert tuple(row) == (history.about.verification_id, "approved", 2)
    assert await stand.connection.fetchval("SELECT receipt_state FROM as_told.attempts") == "delivered"
    again = await watchword(stand, "replay", "fold", "--into", place)
    assert (again.code, "schema as_told is there already" in again.err) == (1, True)


async def begin(stand: Pipeline, count: int) -> list[Facts]:
    """Verifications that were requested and assessed, in tables and topics alike, for codes to go on with."""
    begun_ = []
    for _ in range(count):
        about = await stand.verification(seq=2, sends_assessed=1)
        await publish(stand, History(about).requested().assessed())
        begun_.append(about)
    return begun_


async def test_compare_finds_no_difference_behind_a_real_worker_and_names_one_that_is_made(stand: Pipeline) -> None:
    async with stand.running("codes"):
        begun_ = await begin(stand, 20)
        await stand.told(topics.DISPATCH, count=20)
        busy = await watchword(stand, "replay", "fold", "--compare", "--json")
        await stand.outbox_is_empty()
    assert (busy.code, busy.json["comparison"]["differences"]) == (0, []), busy.err
    told = await watchword(stand, "replay", "fold", "--compare", "--json")
    assert (told.code, told.json["comparison"]["compared"], told.json["states"]) == (0, 20, {"issued": 20}), told.err
    victim = begun_[7].verification_id
    await stand.connection.execute("UPDATE verifications SET code_version = 2 WHERE id = $1", victim)
    found = await watchword(stand, "replay", "fold", "--compare")
    assert found.code == 1
    assert f"verification {victim} code_version: folded 1, live 2" in found.out
    assert "20 compared, 1 differences" in found.out


async def test_compare_tells_what_waits_in_the_outbox(stand: Pipeline) -> None:
    [about] = await begin(stand, 1)
    await stand.connection.execute("UPDATE verifications SET seq = 3")
    await stand.connection.execute(
        "INSERT INTO outbox (id, topic, key, value, headers) VALUES (gen_random_uuid(), $1, $2, '', '[]')",
        topics.LIFECYCLE, str(about.verification_id).encode(),
    )  # fmt: skip
    told = await watchword(stand, "replay", "fold", "--compare", "--json")
    assert (told.code, told.json["comparison"]["waiting"]) == (0, [str(about.verification_id)]), told.err


async def test_of_a_march_that_the_topics_keep_no_longer_no_empty_tables_are_made(
    stand: Pipeline, tmp_path: Path
) -> None:
    await publish(stand, approved())
    admin = AIOKafkaAdminClient(**stand.cluster.options())
    await admin.start()
    lifecycle = stand.cluster.topic_prefix + topics.LIFECYCLE
    everything = {TopicPartition(lifecycle, partition): RecordsToDelete(-1) for partition in range(PARTITIONS)}
    await admin.delete_records(everything)
    await admin.close()
    into = f"sqlite:{tmp_path / 'march.db'}"
    told = await watchword(stand, "replay", "fold", "--as-of", "2026-03-31T00:00:00Z", "--into", into)
    assert told.code == 1 and "reaches back to" in told.err
    assert not (tmp_path / "march.db").exists()


async def test_compare_of_the_past_is_refused(stand: Pipeline) -> None:
    told = await watchword(stand, "replay", "fold", "--compare", "--as-of", "1h")
    assert told.code == 2
    assert "--compare looks at the tables as they are now" in told.err


async def test_demo_reads_a_life_back_without_a_gap(stand: Pipeline) -> None:
    history = approved()
    await publish(stand, history)
    told = await read_timeline(stand.cluster, str(history.about.verification_id))
    assert [moment.sequence for moment in told.moments] == list(range(1, 10))
    assert {moment.name for moment in told.moments} >= {"verification-ended", "receipt-recorded"}
