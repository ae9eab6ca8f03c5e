"""`watchword audit` on real topics and tables: clean where all is well, and each promise broken on purpose."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.carrier import simulated
from tests.support.commands import Ran, publish, watchword
from tests.support.history import History, Told
from tests.support.pipeline import PARTITIONS, Pipeline
from watchword.events import topics
from watchword.kernel.event import Emit
from watchword.replay.fold import Fold
from watchword.replay.live import snapshot


async def happened(stand: Pipeline, *, on_topics: Callable[[Told], bool] = lambda told: True) -> History:
    """An approved verification, in tables and topics alike; `on_topics` says which of its events were published."""
    about = await stand.verification()
    history = History(about).requested().assessed().issued().queued()
    history.made(price_micros=7_500, currency="USD").reported().checked(1, "approved").ended(checks_used=1)
    await keep(stand, history)
    await publish(stand, *(told for told in history.told if on_topics(told)))
    return history


async def keep(stand: Pipeline, history: History) -> None:
    """Write the rows that a history leads to."""
    fold = Fold()
    for told in history.told:
        fold.add(told.event, sequence=told.sequence, event_id=told.id, told_at=told.at)
    [rows] = fold.rows()
    row = rows.verification
    await stand.connection.execute(
        "UPDATE verifications SET state = $2, end_reason = $3, ended_at = $4, seq = $5, sends_assessed = $6, "
        "sends_issued = $7, code_version = $8, checks_used = $9, due_at = NULL WHERE id = $1",
        row.id, row.state, row.end_reason, row.ended_at, row.seq, row.sends_assessed, row.sends_issued,
        row.code_version, row.checks_used,
    )  # fmt: skip
    await stand.connection.execute(
        "INSERT INTO codes (verification_id, version, mac, pepper_id, sealed) VALUES ($1, 1, '', '', '')", row.id
    )
    for each in rows.attempts:
        await stand.connection.execute(
            "INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, state, account, "
            "gateway, outcome, price_micros, currency, receipt_state) "
            "VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12)",
            each.id, row.id, each.send_no, each.try_no, row.expires_at, each.state, each.account, each.gateway,
            each.outcome, each.price_micros, each.currency, each.receipt_state,
        )  # fmt: skip


async def committed(stand: Pipeline, group: str, topic: str, offset: int) -> None:
    """A worker's group that has committed `offset` in every partition of `topic`, up to its end at most."""
    name = stand.cluster.topic_prefix + topic
    consumer = AIOKafkaConsumer(
        **stand.cluster.options(), group_id=stand.cluster.group_prefix + group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(name, number) for number in await stand.producer.partitions_for(name)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.commit({place: min(offset, ends[place]) if offset < 1_000 else offset for place in places})
    finally:
        await consumer.stop()


async def audited(stand: Pipeline, *words: str) -> Ran:
    """The audit, as JSON."""
    return await watchword(stand, "audit", "--json", *words)


def breaches(ran: Ran, check: str) -> list[str]:
    """The ids that one check names; in what every other check that ran could look at, all must be kept."""
    assert ran.out, ran.err
    told = {each["check"]: each for each in ran.json["checks"]}
    broken = [name for name, each in told.items() if each["kept"] is False]
    assert set(broken) <= {check}, told
    assert ran.code == (1 if broken else 0)
    return [breach["id"] for breach in told[check]["breaches"]]


async def test_system_at_work_is_clean_and_says_what_it_looked_at(stand: Pipeline) -> None:
    async with stand.running("codes"):
        for _ in range(5):
            about = await stand.verification(seq=2, sends_assessed=1)
            await publish(stand, History(about).requested().assessed())
        await stand.told(topics.DISPATCH, count=5)
        busy = await audited(stand)
    assert (busy.code, busy.json["clean"]) == (0, True), busy.out + busy.err
    await happened(stand)
    told = await watchword(stand, "audit")
    assert told.code == 0, told.out + told.err
    assert (told.out.count(" kept   "), told.out.count(" kept in part ")) == (9, 2)
    assert "not looked at: what phones got: no carrier's ledger was asked" in told.out
    assert "6 verifications compared" in told.out
    assert told.out.endswith("clean as far as it could look; in part: A2, A11\n")


async def test_role_can_read_everything_and_write_nothing(stand: Pipeline) -> None:
    async with snapshot(stand.dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM codes") == 0
        assert await connection.fetchval("SELECT current_user") == "watchword_audit"
    for statement in ("DELETE FROM outbox", "UPDATE verifications SET seq = 9", "CREATE TABLE mine ()"):
        with pytest.raises((asyncpg.ReadOnlySQLTransactionError, asyncpg.InsufficientPrivilegeError)):
            async with snapshot(stand.dsn) as connection:
                await connection.execute(statement)
    await stand.connection.execute("SET ROLE watchword_audit")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await stand.connection.execute("DELETE FROM outbox")
    await stand.connection.execute("RESET ROLE")


async def test_a1_names_what_outlives_its_life(stand: Pipeline) -> None:
    past = datetime.now(UTC) - timedelta(seconds=60)
    about = await stand.verification(created_at=past - timedelta(seconds=300), expires_at=past)
    await publish(stand, History(about).requested())
    assert breaches(await audited(stand), "A1") == [str(about.verification_id)]


async def test_a1_names_a_request_that_was_taken_and_led_to_nothing(stand: Pipeline) -> None:
    headers = [
        ("ce_specversion", b"1.0"), ("ce_id", b"r-1"), ("ce_source", b"/shop/checkout"),
        ("ce_type", b"otp.verification-submitted.v1"),
    ]  # fmt: skip
    await stand.publish_raw(topics.INBOX, b"r-1", b'{"to":"+919876543210"}', headers)
    await committed(stand, "intake", topics.INBOX, 1)
    [place] = breaches(await audited(stand, "--grace", "0", "--only", "A1"), "A1")
    assert place.startswith("otp.inbox.v1/")
    assert breaches(await audited(stand, "--only", "A1"), "A1") == []


async def test_a2_names_a_claim_that_nobody_resolved(stand: Pipeline) -> None:
    history = await happened(stand)
    await stand.connection.execute("UPDATE attempts SET state = 'queued'")
    await stand.connection.execute("UPDATE verifications SET expires_at = clock_timestamp() - interval '1 hour'")
    assert breaches(await audited(stand, "--only", "A2"), "A2") == [str(history.attempt())]


async def test_a2_and_a11_ask_the_carrier_what_was_sent(stand: Pipeline) -> None:
    history = await happened(stand)
    await stand.connection.execute("UPDATE attempts SET state = 'rejected'")
    stranger = str(History().attempt())
    async with simulated() as carriers, aiohttp.ClientSession(headers={"Authorization": "Bearer t"}) as session:
        for reference in (str(history.attempt()), stranger):
            sent = msgspec.json.encode({"client_ref": reference, "to": "+919876543210", "text": "493021 is your code"})
            async with session.post(f"{carriers.url}/carriers/north/messages", data=sent) as answer:
                assert answer.status == 202, await answer.text()
        told = await audited(stand, "--carrier-ledger", carriers.url, "--only", "A2,A11")
    checks = {each["check"]: [breach["id"] for breach in each["breaches"]] for each in told.json["checks"]}
    assert checks == {"A2": [str(history.attempt())], "A11": [stranger]}
    gone = await audited(stand, "--carrier-ledger", carriers.url)
    assert gone.code == 1
    assert carriers.url in gone.err


async def test_a_ledger_is_read_to_its_end(stand: Pipeline) -> None:
    nobody_got_one = {str(History().attempt(try_no=number)): 0 for number in range(1, 20_001)}

    async def tell(request: web.Request) -> web.Response:
        return web.json_response({"delivered": nobody_got_one})

    application = web.Application()
    application.router.add_get("/ledger", tell)
    async with TestServer(application) as carrier:
        told = await audited(stand, "--carrier-ledger", str(carrier.make_url("/")), "--only", "A2")
    assert (told.code, told.err) == (0, "")


async def test_a3_names_checks_beyond_the_limit_and_a_second_live_code(stand: Pipeline) -> None:
    history = await happened(stand)
    identity = history.about.verification_id
    await stand.connection.execute("ALTER TABLE verifications DROP CONSTRAINT verifications_check")
    await stand.connection.execute("UPDATE verifications SET checks_used = 9")
    assert breaches(await audited(stand), "A3") == [str(identity)]
    await stand.connection.execute("UPDATE verifications SET checks_used = 1")
    await stand.connection.execute(
        "INSERT INTO codes (verification_id, version, mac, pepper_id, sealed) VALUES ($1, 2, '', '', '')", identity
    )
    assert breaches(await audited(stand), "A3") == [str(identity)]


async def test_a4_names_a_transition_that_was_told_under_two_ids(stand: Pipeline) -> None:
    history = await happened(stand)
    await publish(stand, *history.told)
    assert breaches(await audited(stand), "A4") == []
    last = history.told[-1]
    await publish(stand, Told(Emit(last.event, last.emit.subject, 7, key=last.emit.subject), last.sequence, last.at))
    assert set(breaches(await audited(stand), "A4")) == {str(history.about.verification_id)}


async def test_a5_names_an_offset_beyond_the_end_and_one_that_passed_work_over(stand: Pipeline) -> None:
    about = await stand.verification()
    await publish(stand, History(about).requested())
    await committed(stand, "fraud", topics.REQUESTS, 1)
    [place] = breaches(await audited(stand), "A5")
    assert place.startswith("otp.requests.v1/")
    await committed(stand, "codes", topics.ASSESSMENTS, 5_000)
    told = breaches(await audited(stand), "A5")
    assert [each for each in told if each.startswith(topics.ASSESSMENTS)] == [
        f"{topics.ASSESSMENTS}/{n}" for n in range(PARTITIONS)
    ]


async def test_a6_names_a_verification_whose_events_have_a_gap(stand: Pipeline) -> None:
    history = await happened(stand, on_topics=lambda told: told.sequence != 6)
    assert breaches(await audited(stand, "--only", "A6,A4,A10"), "A6") == [str(history.about.verification_id)]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("UPDATE verifications SET end_reason = 'other'", "verification"),
        ("UPDATE verifications SET code_version = 1, sends_issued = 0", "verification"),
        ("UPDATE attempts SET receipt_state = 'undelivered'", "attempt"),
        ("DELETE FROM attempts", "attempt"),
    ],
)
async def test_a7_names_the_row_that_differs_from_what_was_told(stand: Pipeline, statement: str, names: str) -> None:
    history = await happened(stand)
    await stand.connection.execute(statement)
    identity = history.attempt() if names == "attempt" else history.about.verification_id
    assert breaches(await audited(stand, "--only", "A7"), "A7") == [str(identity)]


async def test_a8_names_where_a_number_or_a_code_was_told(stand: Pipeline, tmp_path: Path) -> None:
    history = await happened(stand)
    canary = tmp_path / "canaries"
    canary.write_text(f"+44 7700 900123\n{history.about.verification_id} 493021\n", "utf-8")
    assert breaches(await audited(stand, "--canary", str(canary)), "A8") == []
    await stand.publish_raw(topics.RESULTS, b"k", b'{"detail":"+919876543210"}', [])
    await stand.publish_raw(topics.RESULTS, b"447700900123", b"{}", [])
    subject = [("ce_subject", str(history.about.verification_id).encode())]
    await stand.publish_raw(topics.RESULTS, str(history.about.verification_id).encode(), b'{"note":"493021"}', subject)
    told = breaches(await audited(stand, "--canary", str(canary), "--only", "A8"), "A8")
    assert len(told) == 3
    assert all(place.startswith("otp.results.v1/") for place in told)


async def test_a9_names_what_waits_in_the_outbox_what_is_claimed_and_who_is_behind(stand: Pipeline) -> None:
    history = await happened(stand)
    event = UUID(int=77)
    await stand.connection.execute(
        "INSERT INTO outbox (id, topic, key, value, headers, created_at) "
        "VALUES ($1, $2, 'k', '', '[]', clock_timestamp() - interval '1 minute')", event, topics.LIFECYCLE,
    )  # fmt: skip
    await stand.connection.execute(
        "UPDATE attempts SET state = 'sending', lease_until = clock_timestamp() - interval '1 minute'"
    )
    told = breaches(await audited(stand, "--only", "A9"), "A9")
    assert set(told) == {str(event), str(history.attempt())}
    behind = breaches(await audited(stand, "--only", "A9", "--grace", "0"), "A9")
    assert {each.split("/")[0] for each in behind if each.startswith("otp.")} >= {topics.REQUESTS, topics.DISPATCH}


async def test_a10_names_a_letter_that_is_not_the_record_it_was_made_of(stand: Pipeline) -> None:
    await stand.publish_raw(topics.ASSESSMENTS, b"k", b"\xff poison")
    [partition] = [record.partition for record in await stand.records(topics.ASSESSMENTS)]
    why = [("wwd_reason", b"unreadable"), ("wwd_topic", topics.ASSESSMENTS.encode()), ("wwd_offset", b"0"),
           ("wwd_partition", str(partition).encode())]  # fmt: skip
    dead = topics.dead(topics.ASSESSMENTS)
    await stand.publish_raw(dead, b"k", b"\xff poison", why)
    kept = await audited(stand)
    assert breaches(kept, "A10") == []
    notes = {each["check"]: each["notes"] for each in kept.json["checks"]}
    assert notes["A10"] == [f"{dead}: 1 for unreadable"]
    await stand.publish_raw(dead, b"k", b"\xff changed", why)
    await stand.publish_raw(dead, b"k", b"x", [])
    good = History().requested().assessed().told[1].row
    await stand.publish_raw(dead, good.key, good.value, [*good.headers, ("wwd_reason", b"unreadable")])
    assert breaches(await audited(stand), "A10") == [f"{dead}/0/1", f"{dead}/0/2", f"{dead}/0/3"]


async def test_a11_names_the_account_whose_sums_differ_and_a_verification_sent_too_often(stand: Pipeline) -> None:
    history = await happened(stand)
    await stand.connection.execute("UPDATE attempts SET price_micros = 1")
    assert breaches(await audited(stand, "--only", "A11"), "A11") == ["alpha"]
    await stand.connection.execute("UPDATE attempts SET price_micros = 7500")
    await stand.connection.execute("UPDATE verifications SET rules = rules || '{\"sends_max\": 0}'")
    assert breaches(await audited(stand, "--only", "A11"), "A11") == [str(history.about.verification_id)]


async def test_since_leaves_out_what_began_before(stand: Pipeline) -> None:
    old = await happened(stand)
    await stand.connection.execute("UPDATE verifications SET end_reason = 'other'")
    assert breaches(await audited(stand, "--only", "A7"), "A7") == [str(old.about.verification_id)]
    later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    assert breaches(await audited(stand, "--only", "A7", "--since", later), "A7") == []


async def test_event_that_waits_in_the_outbox_is_held_against_nobody(stand: Pipeline) -> None:
    history = await happened(stand, on_topics=lambda told: told.sequence != 8)
    row = history.told[-1].row
    await stand.connection.execute(
        "INSERT INTO outbox (id, topic, key, value, headers) VALUES ($1, $2, $3, $4, '[]')",
        row.id, row.topic, row.key, row.value,
    )  # fmt: skip
    told = await audited(stand)
    assert (told.code, told.json["clean"]) == (0, True), told.out
    notes = {each["check"]: each["notes"] for each in told.json["checks"]}
    assert "1 wait for the outbox" in notes["A7"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--only", "A3,A12"), "there is no check A12"),
        (("--since", "soon"), "is no time"),
        (("--canary", "/nowhere"), "/nowhere"),
    ],
)
async def test_what_cannot_be_asked_is_refused(stand: Pipeline, words: tuple[str, ...], told: str) -> None:
    ran = await watchword(stand, "audit", *words)
    assert ran.code == 2
    assert told in ran.err
