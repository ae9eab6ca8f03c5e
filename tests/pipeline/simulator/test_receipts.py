"""The simulator's receipts: signed, in order or not, early, late, doubled, lost, or told again."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from tests.pipeline.simulator.playing import NUMBER, WITHIN_S, Receiver, echo, form, message, send
from tests.support.carrier import Carriers
from tests.support.waiting import eventually
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.outcome import OutcomeClass
from watchword.kernel.verification import ReceiptState
from watchword.runtime.clock import WallClock


@pytest.mark.parametrize("door", ["echo", "form"])
async def test_receipts_come_signed_and_in_order(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession, door: str
) -> None:
    account = echo(carriers) if door == "echo" else form(carriers)
    await carriers.behave("north", receipt_steps=["submitted", "enroute"])
    outcome = await send(session, account, message())
    told = await receiver.receipts(account, 3)
    assert [receipt.state for receipt in told] == ["submitted", "enroute", "delivered"]
    assert {(receipt.client_ref, receipt.provider_id) for receipt in told} == {("r-1", outcome.provider_id)}
    assert all(receipt.provider_time is not None and receipt.network == "00101" for receipt in told)
    wrong = replace(account, secrets={"callback": "another"})
    assert not any(GATEWAYS[account.gateway].verify(one, wrong, WallClock().now()) for one in receiver.callbacks)


@pytest.mark.parametrize("ending", ["unknown", "expired", "undelivered", "rejected"])
@pytest.mark.parametrize("door", ["echo", "form"])
async def test_message_that_is_not_delivered_says_so(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession, door: str, ending: str
) -> None:
    account = echo(carriers) if door == "echo" else form(carriers)
    await carriers.behave("north", endings={ending: 1})
    await send(session, account, message())
    assert [receipt.state for receipt in await receiver.receipts(account, 1)] == [ReceiptState(ending)]
    assert len(await carriers.inbox(NUMBER)) == (ending == "unknown")


async def test_lost_message_leaves_no_trace_but_in_the_ledger(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await carriers.behave("north", loss=1)
    assert (await send(session, echo(carriers), message())).kind is OutcomeClass.ACCEPTED
    await send(session, echo(carriers, "south"), message("r-2"))
    assert [receipt.client_ref for receipt in await receiver.receipts(echo(carriers), 1)] == ["r-2"]
    assert await carriers.ledger() == {"r-1": 0, "r-2": 1}
    assert (await carriers.ledger_of("north")).messages[0].sms == 1


async def test_early_receipt_is_out_before_the_call_is_answered(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await carriers.behave("north", receipt_early=1, receipt_steps=["submitted", "enroute"], receipt_batch_max=1)
    await send(session, echo(carriers), message())
    assert [b"delivered" in callback.body for callback in receiver.callbacks] == [False, False, True]


async def test_receipts_are_doubled_reordered_or_late_as_asked(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await carriers.behave("north", receipt_steps=["enroute"], receipt_duplicates=1, receipt_reordered=1)
    await send(session, echo(carriers), message())
    told = [receipt.state for receipt in await receiver.receipts(echo(carriers), 4)]
    assert told == ["delivered", "delivered", "enroute", "enroute"]
    await carriers.behave_as_at_birth(
        "north", receipt_late=1, receipt_late_ms={"kind": "uniform", "min": 600_000, "max": 600_000}
    )
    await send(session, echo(carriers), message("r-2"))
    assert (await carriers.receipts_of("north")).pending == 1
    assert len(await receiver.receipts(echo(carriers), 4)) == 4
    await carriers.behave_as_at_birth("south", receipts=False)
    await send(session, echo(carriers, "south"), message("r-3"))
    assert (await carriers.receipts_of("south")).pending == 0


async def test_receipt_that_is_not_taken_comes_again_but_not_for_ever(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await carriers.behave("north", receipt_backoff_ms=1, receipt_attempts_max=3)
    receiver.answers.extend([500, 302])
    await send(session, echo(carriers), message())
    assert [receipt.client_ref for receipt in await receiver.receipts(echo(carriers), 1)] == ["r-1"]
    receiver.answers.extend([503] * 3)
    await send(session, echo(carriers), message("r-2"))

    async def given_up() -> bool:
        return (await carriers.receipts_of("north")).given_up == 1

    await eventually(given_up, within_s=WITHIN_S, what="the carrier to give up")
    counts = await carriers.receipts_of("north")
    assert (counts.posted, counts.retried, counts.pending, len(receiver.callbacks)) == (1, 4, 0, 1)


async def test_burst_of_receipts_shares_callbacks(
    carriers: Carriers, receiver: Receiver, session: aiohttp.ClientSession
) -> None:
    await carriers.behave("north", receipt_delay_ms={"kind": "uniform", "min": 50, "max": 50}, receipt_batch_max=4)
    sends = (send(session, echo(carriers), message(f"r-{no}")) for no in range(40))
    assert {outcome.kind for outcome in await asyncio.gather(*sends)} == {OutcomeClass.ACCEPTED}
    told = await receiver.receipts(echo(carriers), 40)
    assert {receipt.client_ref for receipt in told} == {f"r-{no}" for no in range(40)}
    assert len(receiver.callbacks) < 40
    assert 1 < max(callback.body.count(b'"state"') for callback in receiver.callbacks) <= 4
