"""dispatch and receipts over SMPP: a message goes out on a kept connection, and what comes back on it is durable before
the carrier hears that it was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from tests.support.carrier import simulated
from tests.support.dispatch import Sending
from tests.support.pipeline import PATIENCE_S, Pipeline
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
