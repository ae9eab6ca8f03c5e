"""codes between real Kafka and real Postgres: one assessment, one code, whatever is repeated."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from tests.support.pipeline import Pipeline, Read
from tests.support.waiting import eventually
from watchword.codes.worker import SealedMessage
from watchword.events import topics
from watchword.events.send_requested import SendRequested
from watchword.events.verification import Facts, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.secret import Code
from watchword.runtime import aad
from watchword.runtime.in_a_row import BUGS_IN_A_ROW_MAX
from watchword.runtime.keyring import Purpose
from watchword.runtime.sealing import check_mac, open_sealed


def assessed(about: Facts, action: Action = Action.ALLOW) -> VerificationAssessed:
    return VerificationAssessed(**shared(about), send_no=1, action=action, mode=Mode.ENFORCE, score=0, ruleset="test")


async def assess(stand: Pipeline, about: Facts, **changes: Any) -> None:
    await stand.publish(assessed(about, **changes), subject=str(about.verification_id), ordinal=1)


async def test_an_assessed_request_gets_a_sealed_code_and_a_send_request(stand: Pipeline) -> None:
    about = await stand.verification()
    async with stand.running("codes"):
        await assess(stand, about)
        [request] = await stand.told(topics.DISPATCH, count=1)
        await stand.outbox_is_empty()
    assert isinstance(request.event, SendRequested)
    row = await stand.row("SELECT * FROM codes WHERE verification_id = $1", about.verification_id)
    sealed = open_sealed(
        stand.keys.opening(Purpose.SENDING), row["sealed"], aad.message("shop", about.verification_id, 1)
    )
    message = msgspec.json.decode(sealed, type=SealedMessage)
    assert message.text == f"{message.code} is your Shop code."
    assert len(message.code) == 6
    pepper = stand.keys.sealing(Purpose.PEPPER)
    assert row["mac"] == check_mac(
        pepper,
        tenant="shop",
        verification=about.verification_id,
        number_token=about.number_token,
        purpose="login",
        binding_hash="",
        code=Code(message.code),
    )
    verification = await stand.row("SELECT state, seq, code_version FROM verifications")
    assert tuple(verification) == ("issued", 3, 1)


async def test_events_of_one_verification_are_numbered_without_a_gap(stand: Pipeline) -> None:
    about = await stand.verification()
    async with stand.running("codes"):
        await assess(stand, about)
        await stand.told(topics.DISPATCH, count=1)
    told: list[Read] = [*await stand.read(topics.LIFECYCLE), *await stand.read(topics.DISPATCH)]
    assert [(each.event.NAME, each.envelope.sequence) for each in told] == [("code-issued", 2), ("send-requested", 3)]
    assert {each.envelope.causation_id for each in told} != {""}


async def test_a_repeated_assessment_changes_nothing_and_tells_nothing(stand: Pipeline) -> None:
    about = await stand.verification()
    other = await stand.verification(number="+919876543211")
    async with stand.running("codes"):
        for _ in range(3):
            await assess(stand, about)
        await assess(stand, other)
        await stand.told(topics.DISPATCH, count=2)
        await stand.outbox_is_empty()
    requests = await stand.read(topics.DISPATCH)
    assert sorted(each.key for each in requests) == sorted([str(about.verification_id), str(other.verification_id)])
    assert await stand.connection.fetchval("SELECT count(*) FROM codes") == 2


async def test_a_blocked_request_ends_and_gets_no_code(stand: Pipeline) -> None:
    about = await stand.verification()
    async with stand.running("codes"):
        await assess(stand, about, action=Action.BLOCK)
        [ended] = await stand.told(topics.LIFECYCLE, count=1)
    assert isinstance(ended.event, VerificationEnded)
    assert ended.event.state == "blocked"
    assert await stand.connection.fetchval("SELECT count(*) FROM codes") == 0
    assert (await stand.row("SELECT state, due_at FROM verifications"))["state"] == "blocked"


async def test_a_request_that_comes_too_late_expires(stand: Pipeline) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    about = await stand.verification(created_at=past - timedelta(seconds=300), expires_at=past)
    async with stand.running("codes"):
        await assess(stand, about)
        [ended] = await stand.told(topics.LIFECYCLE, count=1)
    assert isinstance(ended.event, VerificationEnded)
    assert ended.event.state == "expired"


async def test_poison_goes_to_the_dead_topic_untouched_and_the_partition_goes_on(stand: Pipeline) -> None:
    about = await stand.verification()
    key = str(about.verification_id).encode()
    async with stand.running("codes") as process:
        await stand.publish_raw(topics.ASSESSMENTS, key, b"\xff\x00 not an event")
        await assess(stand, about)
        await stand.told(topics.DISPATCH, count=1)
        await stand.outbox_is_empty()
        assert process.metrics.value("watchword_runtime_buried_total", stage="codes", reason="unreadable") == 1
    [letter] = await stand.records(topics.dead(topics.ASSESSMENTS))
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (key, b"\xff\x00 not an event")
    assert headers["wwd_reason"] == b"unreadable"
    assert headers["wwd_detail"].startswith(b"missing header")


async def test_an_assessment_of_an_unknown_verification_is_buried_with_that_reason(stand: Pipeline) -> None:
    about = await stand.verification()
    await stand.connection.execute("DELETE FROM verifications")
    async with stand.running("codes"):
        await assess(stand, about)
        await stand.outbox_is_empty()

        async def buried() -> list[Any]:
            return await stand.records(topics.dead(topics.ASSESSMENTS))

        [letter] = await eventually(buried, within_s=20, what="a dead letter")
    assert dict(letter.headers)["wwd_reason"] == b"unknown_verification"


async def test_an_event_that_a_newer_version_tells_is_passed_over_not_buried(stand: Pipeline) -> None:
    about = await stand.verification()
    key = str(about.verification_id).encode()
    newer = [("ce_type", b"otp.mood-sensed.v1"), ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/x")]
    async with stand.running("codes"):
        await stand.publish_raw(topics.ASSESSMENTS, key, b"{}", newer)
        await assess(stand, about)
        await stand.told(topics.DISPATCH, count=1)
        await stand.outbox_is_empty()
    assert await stand.records(topics.dead(topics.ASSESSMENTS)) == []


async def test_nobody_loses_a_request_to_a_full_disk(stand: Pipeline) -> None:
    """While nothing can be stored the request waits; it is not taken for poison."""
    about = await stand.verification()
    await stand.connection.execute(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE SEQUENCE refused; GRANT USAGE ON refused TO PUBLIC; "
        "CREATE TRIGGER no_room BEFORE INSERT ON codes FOR EACH ROW "
        "WHEN (nextval('refused') <= 3) EXECUTE FUNCTION no_room()"
    )
    async with stand.running("codes"):
        await assess(stand, about)
        await stand.told(topics.DISPATCH, count=1)
    assert await stand.connection.fetchval("SELECT last_value FROM refused") == 4, "the fourth time there was room"
    assert await stand.records(topics.dead(topics.ASSESSMENTS)) == []


async def test_where_nothing_can_be_written_the_worker_ends_and_buries_few(stand: Pipeline) -> None:
    await stand.connection.execute(
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'check_violation'; END $$; "
        "CREATE TRIGGER gone BEFORE INSERT ON codes FOR EACH ROW EXECUTE FUNCTION gone()"
    )
    for index in range(2 * BUGS_IN_A_ROW_MAX):
        await assess(stand, await stand.verification(number=f"+9198765{index:05}"))
    async with stand.running("codes") as process:

        async def ended() -> bool:
            return process.failed is not None

        await eventually(ended, within_s=60, what="codes to end")
    assert len(await stand.records(topics.dead(topics.ASSESSMENTS))) <= BUGS_IN_A_ROW_MAX


async def test_a_row_that_somebody_holds_keeps_only_its_own_partition_waiting(stand: Pipeline) -> None:
    held = await stand.verification()
    others = [await stand.verification(number=f"+91987654322{index}") for index in range(8)]
    holder = await asyncpg.connect(stand.dsn)
    async with holder.transaction():
        await holder.fetch("SELECT 1 FROM verifications WHERE id = $1 FOR UPDATE", held.verification_id)
        async with stand.running("codes"):
            for about in (held, *others):
                await assess(stand, about)
            told = await stand.told(topics.DISPATCH, count=1)
            assert str(held.verification_id) not in {each.key for each in told}
    await holder.close()


async def test_a_value_that_no_column_takes_is_buried_and_its_neighbours_are_not(stand: Pipeline) -> None:
    about = await stand.verification()
    other = await stand.verification(number="+919876543211")
    async with stand.running("codes"):
        too_many = VerificationAssessed(
            **shared(other), send_no=70_000, action=Action.ALLOW, mode=Mode.ENFORCE, score=0, ruleset="test"
        )
        await stand.publish(too_many, subject=str(other.verification_id), ordinal=70_000)
        await assess(stand, about)
        await stand.told(topics.DISPATCH, count=1)

        async def buried() -> list[Any]:
            return await stand.records(topics.dead(topics.ASSESSMENTS))

        [letter] = await eventually(buried, within_s=20, what="a dead letter")
    assert dict(letter.headers)["wwd_reason"] == b"bug"
    assert [each.key for each in await stand.read(topics.DISPATCH)] == [str(about.verification_id)]
