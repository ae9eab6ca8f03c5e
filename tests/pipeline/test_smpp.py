"""dispatch and receipts over SMPP: a message goes out on a kept connection, and what comes back on it is durable before
the carrier hears that it was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.alone import KILLED, alone, died
from tests.support.carrier import simulated
from tests.support.dispatch import Sending
from tests.support.pipeline import PATIENCE_S, OwnKafka, Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.receipt_recorded import ReceiptRecorded

CONFIGURATION = Path(__file__).with_name("smpp.toml")
USUAL = {"bind": "trx", "binds": "1", "id_format": "exact", "timeout_ms": "2000", "enquire_s": "30"}


@asynccontextmanager
async def bound(stand: Pipeline, **words: str) -> AsyncIterator[Sending]:
    """An SMSC, and a configuration that leads to it."""
    async with simulated(smpp_port=0) as carriers:
        await carriers.behave("north", token="north-word", receipt_delay_ms={"kind": "uniform", "min": 20, "max": 60})
        await carriers.behave("south", token="south-word")
        await stand.configure(CONFIGURATION, url=carriers.smpp_url, **(USUAL | words))
        yield Sending(stand, carriers)


async def recorded(stand: Pipeline, count: int) -> list[ReceiptRecorded]:
    told = await stand.told(topics.LIFECYCLE, count=count, name="receipt-recorded")
    return [each.event for each in told if isinstance(each.event, ReceiptRecorded)]


async def receipt_state(stand: Pipeline, attempt: UUID) -> str:
    return str((await stand.row("SELECT receipt_state FROM attempts WHERE id = $1", attempt))["receipt_state"])


async def settled(it: Sending, carrier: str = "north") -> None:
    """Every receipt of the carrier was taken by us."""

    async def none_left() -> bool:
        counts = await it.carriers.receipts_of(carrier)
        return counts.pending == 0 and counts.posted > 0

    await eventually(none_left, within_s=PATIENCE_S, what="no receipt left with the carrier")


async def several(it: Sending, count: int, first: int = 1000) -> list[UUID]:
    return [await it.request(await it.issued(f"+91987655{first + number}")) for number in range(count)]


async def test_a_message_goes_out_and_its_receipt_comes_back(stand: Pipeline) -> None:
    async with bound(stand) as it, stand.running("dispatch,receipts") as process:
        attempt = await it.request(await it.issued())
        [made] = await it.made(1)
        [event] = await recorded(stand, 1)
        await settled(it)
        [sms] = await it.carriers.inbox("+919876543210")
        assert process.metrics.value("watchword_dispatch_reports_total", account="north", outcome="kept") == 1
        await stand.outbox_is_empty()
    assert (made.result, made.account, made.gateway, made.raw_code) == ("accepted", "north", "smpp", "0x00")
    assert made.provider_id.startswith("north-")
    assert (sms.text, sms.sender) == ("493021 is your Shop code.", "SHOP")
    assert (event.attempt_id, event.state, event.account, event.raw_code) == (attempt, "delivered", "north", "000")
    [kept] = await stand.read(topics.RECEIPTS)
    assert kept.envelope.source == "/watchword/dispatch"
    assert b"919876543210" not in (kept.value or b"")


@pytest.mark.parametrize(
    ("words", "habits"),
    [
        ({"binds": "2"}, {"chunk_bytes": 7, "unknown_parameters": True}),
        ({"bind": "tx+rx", "id_format": "hex_resp_dec_dlr"}, {"coalesce": True, "ids": "hex_then_decimal"}),
    ],
    ids=["in pieces over two binds", "in one go over a pair, ids in two bases"],
)
async def test_however_a_carrier_writes_every_message_is_accepted_and_reported_once(
    stand: Pipeline, words: dict[str, str], habits: dict[str, object]
) -> None:
    async with bound(stand, **words) as it, stand.running("dispatch,receipts"):
        await it.carriers.behave("north", receipt_duplicates=0.5, smpp=habits)
        attempts = await several(it, 25)
        made = await it.made(25)
        told = await recorded(stand, 25)
        await settled(it)
        await stand.outbox_is_empty()
    assert {each.result for each in made} == {"accepted"}
    assert {event.attempt_id for event in told} == set(attempts)
    assert len(await recorded(stand, 25)) == 25


async def test_a_throttled_message_goes_another_way_at_once(stand: Pipeline) -> None:
    async with bound(stand) as it, stand.running("dispatch") as process:
        await it.carriers.behave("north", errors={"throttled": 1.0})
        await it.request(await it.issued())
        first, second = await it.made(2)
        assert (process.metrics.value("watchword_dispatch_rate_level", account="north") or 0) < 5_000
        assert process.metrics.value("watchword_dispatch_breaker_state", account="north") == 0
    assert (first.result, first.outcome, first.raw_code) == ("deferred", "throttled", "0x58")
    assert (second.result, second.account, second.route_reason) == ("accepted", "south", "failover")


@pytest.mark.slow
async def test_a_cut_connection_leaves_its_messages_unknown_and_is_made_again(stand: Pipeline) -> None:
    """Nobody can tell what an SMSC took that cut the line: the same code goes out once more, and is counted."""
    async with bound(stand) as it, stand.running("dispatch") as process:
        await it.carriers.behave("north", smpp={"drops": 1.0})
        cut = await it.request(await it.issued())
        await it.reached(cut, "unknown")
        await it.carriers.behave("north", smpp={})
        [first, second] = await it.made(2)
        assert process.metrics.value("watchword_dispatch_possible_duplicates_total") == 1
        whole = await it.request(await it.issued("+998901234567"))
        await it.reached(whole, "accepted")
    assert (first.outcome, first.raw_code) == ("ambiguous", "connection_lost")
    assert (second.result, second.possible_duplicate) == ("accepted", True)


async def test_a_refused_password_closes_the_account_and_not_the_message(stand: Pipeline) -> None:
    async with bound(stand) as it:
        await it.carriers.behave("north", token="changed")
        async with stand.running("dispatch") as process:
            await it.request(await it.issued())
            first, second = await it.made(2)
            assert process.metrics.value("watchword_dispatch_breaker_state", account="north") == 2
            assert process.metrics.value("watchword_dispatch_connections_size", account="south") == 1
    assert (first.outcome, first.raw_code, second.account) == ("account", "0x0e", "south")


async def test_a_receipt_before_its_response_is_matched_all_the_same(stand: Pipeline) -> None:
    async with bound(stand) as it, stand.running("dispatch,receipts"):
        await it.carriers.behave("north", receipt_early=1.0, latency_ms={"kind": "uniform", "min": 300, "max": 300})
        attempt = await it.request(await it.issued())
        [event] = await recorded(stand, 1)
        await stand.outbox_is_empty()
    assert (event.attempt_id, event.state) == (attempt, "delivered")


async def test_what_is_in_the_window_is_answered_before_the_worker_stops(stand: Pipeline) -> None:
    async with bound(stand) as it:
        await it.carriers.behave("north", latency_ms={"kind": "uniform", "min": 600, "max": 600})
        async with stand.running("dispatch"):
            attempts = await several(it, 5)
            await it.asked("north", 5)
        assert [await it.state_of(attempt) for attempt in attempts] == ["accepted"] * 5


@pytest.mark.parametrize("point", ["dispatch.acknowledged", pytest.param("dispatch.taken", marks=pytest.mark.slow)])
async def test_whoever_dies_with_a_receipt_in_hand_is_told_it_again(stand: Pipeline, point: str) -> None:
    async with bound(stand) as it, stand.running("receipts"):
        await it.carriers.behave("north", receipt_delay_ms={"kind": "uniform", "min": 1_500, "max": 1_500})
        async with alone(stand, "dispatch", point=point) as process:
            attempt = await it.request(await it.issued())
            assert await died(process) == KILLED
        assert await it.state_of(attempt) == "accepted"
        counts = await it.carriers.receipts_of("north")
        assert (counts.posted, counts.pending) == (0, 1)
        async with stand.running("dispatch"):
            await settled(it)
            [event] = await recorded(stand, 1)
        counts = await it.carriers.receipts_of("north")
    assert (event.attempt_id, event.state, counts.posted) == (attempt, "delivered", 1)
    kept = await stand.read(topics.RECEIPTS)
    assert len(kept) == (1 if point == "dispatch.taken" else 2)
    assert len({each.envelope.id for each in kept}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("point", ["dispatch.detoured"])
async def test_whoever_dies_with_a_receipt_that_went_round_a_silent_kafka_is_told_it_again(
    own_kafka: OwnKafka, point: str
) -> None:
    stand = own_kafka.stand
    async with bound(stand) as it:
        await it.carriers.behave("north", receipt_delay_ms={"kind": "uniform", "min": 2_000, "max": 2_000})
        async with alone(stand, "dispatch", point=point) as process:
            attempt = await it.request(await it.issued())
            await it.reached(attempt, "accepted")
            own_kafka.broker.freeze()
            try:
                assert await died(process) == KILLED
                kept = await stand.connection.fetch("SELECT topic FROM outbox WHERE topic = 'otp.receipts.v1'")
            finally:
                own_kafka.broker.thaw()
        assert len(kept) == 1
        async with stand.running("dispatch,receipts,timers"):
            await settled(it)
            await recorded(stand, 1)
            await stand.outbox_is_empty()
        [event] = await recorded(stand, 1)
        assert (event.attempt_id, event.state, await receipt_state(stand, attempt)) == (
            attempt, "delivered", "delivered"
        )  # fmt: skip
        assert len(await it.carriers.inbox("+919876543210")) == 1
    assert len({each.envelope.id for each in await stand.read(topics.RECEIPTS)}) == 1
