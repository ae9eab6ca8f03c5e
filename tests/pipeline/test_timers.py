"""timers between real Kafka and real Postgres: what is overdue gets what it is owed, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.support.pipeline import PATIENCE_S, Pipeline
from tests.support.proxy import FAIR, Proxy, Weather
from tests.support.rows import attempt, issued
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.envelope import encode
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.send_requested import SendRequested
from watchword.events.verification import shared
from watchword.events.verification_assessed import VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.event import Emit
from watchword.local.ports import LOOPBACK
from watchword.runtime import outbox
from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.outbox import Origin, OutboxRow
from watchword.runtime.postgres import connect
from watchword.runtime.publishing import Publisher
from watchword.timers.metrics import TimersMetrics
from watchword.timers.settings import TimersSettings
from watchword.timers.sweep import Sweep

JUST_NOW = timedelta(seconds=-1)
LONG_AGO = timedelta(minutes=-10)
SHUT = Weather(takes=False)


def at(offset: timedelta) -> datetime:
    return datetime.now(UTC) + offset


async def left_behind(stand: Pipeline, rows: list[OutboxRow]) -> None:
    """Outbox rows of a worker that died before it could publish them."""
    await outbox.store(stand.connection, rows)  # type: ignore[arg-type]
    await stand.connection.execute("UPDATE outbox SET created_at = created_at - interval '1 minute'")


def checked_row(about: object, number: int) -> OutboxRow:
    told = CodeChecked(**shared(about), result=CheckResult.WRONG, check_no=number, checks_left=0)  # type: ignore[arg-type]
    origin = Origin("checks", datetime.now(UTC))
    return outbox.row(Emit(told, str(told.verification_id), number), origin, sequence=number)


@asynccontextmanager
async def swept_through_a_door(stand: Pipeline) -> AsyncIterator[tuple[Sweep, Proxy]]:
    """A sweep, and the only way it has to a broker that it does not know yet."""
    host, _, port = stand.cluster.bootstrap.partition(":")
    door = Proxy(0, (host, int(port)))
    await door.start()
    publisher = Publisher(replace(stand.cluster, bootstrap=f"{LOOPBACK}:{door.port}"), client_id="sweep")
    pool = await connect(stand.dsn, worker="timers")
    metrics = Metrics()
    counted = {"metrics": TimersMetrics(metrics), "swept": RuntimeMetrics(metrics).outbox_swept}
    try:
        yield Sweep(TimersSettings.load(), pool=pool, publisher=publisher, **counted), door  # type: ignore[arg-type]
    finally:
        await publisher.stop()
        await pool.close()
        await door.stop()


async def test_events_a_dead_worker_left_behind_are_published_under_their_own_ids(stand: Pipeline) -> None:
    about = await issued(stand)
    rows = [checked_row(about, number) for number in range(1, 1_201)]
    await left_behind(stand, rows)
    async with stand.running("timers"):
        await stand.outbox_is_empty()
    told = await stand.read(topics.LIFECYCLE)
    assert sorted(each.envelope.id for each in told) == sorted(str(row.id) for row in rows)
    assert [each.envelope.sequence for each in told] == sorted(each.envelope.sequence for each in told)


async def test_two_timers_sweep_side_by_side_and_publish_each_event(stand: Pipeline) -> None:
    about = await issued(stand)
    rows = [checked_row(about, number) for number in range(1, 601)]
    await left_behind(stand, rows)
    async with stand.running("timers", ordinal=0), stand.running("timers", ordinal=1):
        await stand.outbox_is_empty()
    ids = [each.envelope.id for each in await stand.read(topics.LIFECYCLE)]
    assert set(ids) == {str(row.id) for row in rows}
    assert len(ids) == len(rows)


async def test_an_event_kafka_will_never_take_does_not_stop_those_behind_it(stand: Pipeline) -> None:
    about = await issued(stand)
    monster = OutboxRow(uuid4(), topics.LIFECYCLE, b"k", b"x" * 3_000_000, ())
    rows = [monster, *(checked_row(about, number) for number in range(1, 21))]
    await left_behind(stand, rows)
    await stand.connection.execute("UPDATE outbox SET created_at = now() - interval '1 hour' WHERE id = $1", monster.id)

    async def only_the_monster() -> bool:
        left = await stand.connection.fetch("SELECT id FROM outbox")
        return [row["id"] for row in left] == [monster.id]

    async with stand.running("timers"):
        await eventually(only_the_monster, within_s=40, what="all but one published")
    assert len(await stand.records(topics.LIFECYCLE)) == 20


async def test_all_that_waited_for_the_broker_is_published_in_the_first_turn_after_it_is_back(stand: Pipeline) -> None:
    """Rows that nobody could be told of were set aside one by one, as if each were at fault."""
    about = await issued(stand)
    await left_behind(stand, [checked_row(about, number) for number in range(1, 21)])
    async with swept_through_a_door(stand) as (sweep, door):
        door.change(SHUT)
        for _ in range(4):
            await sweep.turn()
        door.change(FAIR)
        await sweep.turn()
    assert (await stand.row("SELECT count(*) AS left FROM outbox"))["left"] == 0
    assert len(await stand.records(topics.LIFECYCLE)) == 20


async def test_a_request_that_fraud_does_not_assess_goes_on_by_the_policys_choice(stand: Pipeline) -> None:
    opened = await stand.verification(due_at=at(JUST_NOW))
    closed = await stand.verification(
        number="+919876543211", due_at=at(JUST_NOW), rules={"on_assess_timeout": "closed"}
    )
    async with stand.running("timers"):
        told = await stand.told(topics.ASSESSMENTS, count=2)
        await stand.outbox_is_empty()
    found = {each.key: each.event for each in told if isinstance(each.event, VerificationAssessed)}
    assert {key: (event.action, event.mode) for key, event in found.items()} == {
        str(opened.verification_id): ("allow", "timeout_open"),
        str(closed.verification_id): ("block", "timeout_closed"),
    }


async def test_a_verification_whose_time_is_over_expires_and_is_told(stand: Pipeline) -> None:
    await issued(stand, created_at=at(LONG_AGO), expires_at=at(JUST_NOW), due_at=at(JUST_NOW))
    async with stand.running("timers"):
        [ended] = await stand.told(topics.LIFECYCLE, count=1)
    assert isinstance(ended.event, VerificationEnded)
    assert (ended.event.state, ended.event.reason, ended.envelope.sequence) == ("expired", "time_over", 4)
    assert (await stand.row("SELECT state FROM verifications"))["state"] == "expired"


async def test_a_claim_of_a_dead_dispatcher_is_requested_again(stand: Pipeline) -> None:
    about = await issued(stand)
    claimed = await attempt(stand, about, state="sending", owner="d-1", account="echo-1", lease_until=at(JUST_NOW))
    async with stand.running("timers"):
        [again] = await stand.told(topics.DISPATCH, count=1)
    assert isinstance(again.event, SendRequested)
    assert (again.event.attempt_id, again.event.recovery, again.key) == (claimed, 1, str(about.verification_id))


async def test_an_attempt_nobody_made_in_time_is_told_as_skipped(stand: Pipeline) -> None:
    about = await issued(stand)
    await attempt(stand, about, send_deadline=at(LONG_AGO))
    async with stand.running("timers"):
        [made] = await stand.told(topics.LIFECYCLE, count=1)
    assert isinstance(made.event, AttemptMade)
    assert made.event.result == "skipped_late"


async def test_a_receipt_nobody_claims_ends_in_the_dead_topic_as_it_came(stand: Pipeline) -> None:
    event = ReceiptReceived(receipt_id="r1", account="a", gateway="echo", received_at=at(LONG_AGO), sealed="AQ==")
    await stand.connection.execute(
        "INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until) "
        "VALUES ('r1/0', 'a', '', 'm-1', $1, $2)", encode(event), at(JUST_NOW),
    )  # fmt: skip
    async with stand.running("timers") as process:

        async def buried() -> bool:
            return len(await stand.records(topics.dead(topics.RECEIPTS))) == 1

        await eventually(buried, within_s=PATIENCE_S, what="a dead letter")
        await stand.outbox_is_empty()
        name, why = "watchword_runtime_buried_total", {"stage": "parked_receipts", "reason": "unmatched_receipt"}
        assert process.metrics.value(name, **why) == 1
    [letter] = await stand.read(topics.dead(topics.RECEIPTS))
    assert (letter.event, letter.headers["wwd_reason"]) == (event, b"unmatched_receipt")


async def test_how_far_behind_they_are_is_told_as_metrics(stand: Pipeline) -> None:
    """A topic that is not there stands for a Kafka that takes nothing."""
    await left_behind(stand, [OutboxRow(uuid4(), "otp.nowhere.v1", b"k", b"{}", ())])
    async with stand.running("timers") as process:

        async def told() -> bool:
            outbox_age_s = process.metrics.value("watchword_timers_outbox_age_seconds") or 0
            stale_s = process.metrics.value("watchword_timers_overdue_seconds", stage="stale_claims")
            return outbox_age_s > 59 and stale_s == 0

        await eventually(told, within_s=PATIENCE_S, what="the age of the oldest event, and no stale claim")
