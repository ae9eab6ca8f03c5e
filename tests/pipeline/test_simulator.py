"""The simulator over real HTTP, met by the gateways that will call it and by a receiver of its receipts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.contract.gateways import samples
from tests.support.carrier import Carriers, simulated
from tests.support.waiting import eventually
from watchword.gateways.catalog import GATEWAYS, QUERYABLE
from watchword.gateways.contract import Account, Callback, Message, Receipt, Request
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import ReceiptState
from watchword.runtime.clock import WallClock
from watchword.simulator.server import start

NUMBER = "+919876543210"
REFUSALS = [kind for kind in OutcomeClass if kind is not OutcomeClass.ACCEPTED]
RECEIPT_SECRET = "simulated-receipts"
WITHIN_S = 5.0
IMPATIENT_S = 0.3


def message(ref: str = "r-1", **fields: Any) -> Message:
    """A message with a code."""
    text, now = "493021 is your code", datetime.now(UTC)
    return replace(Message(client_ref=ref, to=NUMBER, text=text, sender="SHOP", life_s=240, at=now), **fields)


class Receiver:
    """Takes receipts. `answers` are the statuses to give first; afterwards it gives 204."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[int] = deque()
        self.callbacks: list[Callback] = []

    async def take(self, request: web.Request) -> web.Response:
        """One callback."""
        callback = Callback(request.method, str(request.url), dict(request.headers), await request.read())
        status = self.answers.popleft() if self.answers else 204
        if status == 204:
            self.callbacks.append(callback)
        return web.Response(status=status)

    async def receipts(self, account: Account, count: int) -> list[Receipt]:
        """All receipts, each callback verified, once there are at least `count`."""

        async def enough() -> list[Receipt]:
            gateway, now = GATEWAYS[account.gateway], WallClock().now()
            assert all(gateway.verify(callback, account, now) for callback in self.callbacks)
            told = [receipt for callback in self.callbacks for receipt in gateway.receipts(callback, account)]
            return told if len(told) >= count else []

        return await eventually(enough, within_s=WITHIN_S, what=f"{count} receipts")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/receipts", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/receipts"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Where every carrier's receipts go."""
    async with receiving() as taking:
        yield taking


@pytest_asyncio.fixture
async def carriers(receiver: Receiver) -> AsyncIterator[Carriers]:
    """A simulator of this test's own."""
    async with simulated(seed=11, receipt_url=receiver.url, blind_receipt_url=receiver.url) as playing:
        yield playing


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that waits long enough for a busy machine."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2 * WITHIN_S)) as client:
        yield client


@pytest_asyncio.fixture
async def impatient() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that gives up soon."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=IMPATIENT_S)) as client:
        yield client


def echo(carriers: Carriers, carrier: str = "north") -> Account:
    """An echo account at a carrier."""
    secrets = {"token": "t", "callback": RECEIPT_SECRET}
    return Account(id=carrier, gateway="echo", url=f"{carriers.url}/carriers/{carrier}", secrets=secrets)


def form(carriers: Carriers, carrier: str = "north") -> Account:
    """The recorded form account of the template gateway, at a carrier's /blind."""
    recorded = next(account for _, account in samples.accounts() if account.id == "form")
    return replace(
        recorded,
        url=f"{carriers.url}/carriers/{carrier}",
        options={**recorded.options, "path": "/blind"},
        secrets={"key": "k", "callback": RECEIPT_SECRET},
    )


async def called(session: aiohttp.ClientSession, request: Request) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    call = session.request(request.method, request.url, data=request.body, headers=request.headers)
    async with call as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def send(session: aiohttp.ClientSession, account: Account, one: Message) -> Outcome:
    """Send a message the way dispatch does."""
    gateway = GATEWAYS[account.gateway]
    status, headers, body = await called(session, gateway.encode(one, account))
    return gateway.decode(status, headers, body, account)


async def test_code_sent_through_either_gateway_is_on_the_phone(
    carriers: Carriers, session: aiohttp.ClientSession
) -> None:
    for account in (echo(carriers), form(carriers, "south")):
        outcome = await send(session, account, message(account.id, text='Your "Shop" code & more: 493021 <b> 100%'))
        assert (outcome.kind, bool(outcome.provider_id)) == (OutcomeClass.ACCEPTED, True)
    inbox = await carriers.inbox(NUMBER)
    assert [(sms.carrier, sms.sender) for sms in inbox] == [("north", "SHOP"), ("south", "SHOP")]
    assert {sms.text for sms in inbox} == {'Your "Shop" code & more: 493021 <b> 100%'}
    assert await carriers.wait_for_code(NUMBER, seen=1) == "493021"
    async with session.get(f"{carriers.url}/phones/{NUMBER}/page") as answer:
        assert "&lt;b&gt; 100%" in await answer.text()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    await carriers.forget_phones()
    assert await carriers.inbox(NUMBER) == []


async def test_same_reference_again_is_one_sms_where_the_carrier_dedupes(
    carriers: Carriers, session: aiohttp.ClientSession
) -> None:
    first, second = [await send(session, echo(carriers), message()) for _ in range(2)]
    assert (second.raw_code, second.provider_id) == ("duplicate", first.provider_id)
    for _ in range(2):
        await send(session, form(carriers, "south"), message("r-2"))
    assert await carriers.ledger() == {"r-1": 1, "r-2": 2}
    ledger = await carriers.ledger_of("north")
    assert [(call.result, call.duplicate) for call in ledger.calls] == [("accepted", False), ("accepted", True)]
    assert [(sent.calls, sent.sms) for sent in ledger.messages] == [(2, 1)]
    await carriers.behave("north", dedupes=False)
    await send(session, echo(carriers), message())
    assert (await carriers.ledger())["r-1"] == 2


async def test_carrier_tells_whether_it_has_a_reference(carriers: Carriers, session: aiohttp.ClientSession) -> None:
    account, gateway = echo(carriers), QUERYABLE["echo"]
    sent = await send(session, account, message("r/1?&"))
    found = gateway.decode_lookup(*await called(session, gateway.encode_lookup("r/1?&", account)))
    assert found is not None
    assert (found.kind, found.provider_id) == (OutcomeClass.ACCEPTED, sent.provider_id)
    assert gateway.decode_lookup(*await called(session, gateway.encode_lookup("other", account))) is None
    await carriers.behave("north", down=True)
    away = gateway.decode_lookup(*await called(session, gateway.encode_lookup("other", account)))
    assert away is not None
    assert away.kind is OutcomeClass.AMBIGUOUS


@pytest.mark.parametrize("kind", REFUSALS)
async def test_every_refusal_is_understood_by_both_gateways(
    carriers: Carriers, session: aiohttp.ClientSession, kind: OutcomeClass
) -> None:
    await carriers.behave("north", errors={kind.value: 1}, retry_after_s=3)
    for account in (echo(carriers), form(carriers)):
        outcome = await send(session, account, message())
        assert outcome.kind is kind
        assert outcome.retry_after_ms == (3_000 if kind is OutcomeClass.THROTTLED else 0)
    assert await carriers.ledger() == {}
    assert {call.result for call in (await carriers.ledger_of("north")).calls} == {kind.value}


@pytest.mark.parametrize("field,sms", [("timeouts_before", 0), ("timeouts_after", 1)])
async def test_call_that_is_never_answered_may_have_sent(
    carriers: Carriers,
    session: aiohttp.ClientSession,
    impatient: aiohttp.ClientSession,
    field: str,
    sms: int,
) -> None:
    await carriers.behave("north", **{field: 1})
    with pytest.raises(TimeoutError):
        await send(impatient, echo(carriers), message())
    assert len(await carriers.inbox(NUMBER)) == sms
    await carriers.behave("north", hang_ms=0)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(session, echo(carriers), message())
    await carriers.behave_as_at_birth("north")
    assert (await send(session, echo(carriers), message())).kind is OutcomeClass.ACCEPTED
    assert await carriers.ledger() == {"r-1": 1}


async def test_carrier_is_away_during_an_outage(carriers: Carriers, session: aiohttp.ClientSession) -> None:
    await carriers.behave("north", outages=[{"start_s": 0, "end_s": 60}])
    assert (await send(session, echo(carriers), message())).kind is OutcomeClass.TEMPORARY
    assert (await send(session, echo(carriers, "south"), message())).kind is OutcomeClass.ACCEPTED
    await carriers.behave("north", outage_answer="reset")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(session, echo(carriers), message())
    await carriers.behave("north", outages=[{"start_s": 60, "end_s": 61}])
    assert (await send(session, echo(carriers), message())).kind is OutcomeClass.ACCEPTED


async def test_answer_takes_as_long_as_asked(carriers: Carriers, session: aiohttp.ClientSession) -> None:
    await carriers.behave("north", latency_ms={"kind": "uniform", "min": 60, "max": 60})
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await send(session, echo(carriers), message())
    assert loop.time() - started_s >= 0.06


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


async def test_wrong_behaviour_is_refused_and_changes_nothing(carriers: Carriers) -> None:
    await carriers.behave("north", loss=0.25)
    for wrong in ({"loss": 2}, {"lost": 0.1}, {"loss": 0.5, "down": "yes"}):
        with pytest.raises(ValueError, match="400"):
            await carriers.behave("north", **wrong)
    with pytest.raises(ValueError, match="404"):
        await carriers.behave("nowhere", loss=0.1)
    async with aiohttp.ClientSession() as session, session.get(f"{carriers.url}/carriers/north/behaviour") as answer:
        assert (await answer.json())["loss"] == 0.25


@pytest.mark.parametrize(
    "body,authorization,status",
    [
        (b"", "Bearer t", 400),
        (b'{"client_ref":"r"}', "Bearer t", 400),
        (b'{"client_ref":"r","to":"12","text":"1234"}', "Bearer t", 422),
        (b'{"client_ref":"r","to":"+919876543210","text":"1234"}', "Bearer wrong", 401),
        (b'{"client_ref":"r","to":"+919876543210","text":"1234"}', "", 401),
        (b" " * 20_000, "Bearer t", 413),
    ],
)
async def test_call_a_carrier_cannot_take_is_refused(
    carriers: Carriers, session: aiohttp.ClientSession, body: bytes, authorization: str, status: int
) -> None:
    await carriers.behave("north", token="t")
    headers = {"Authorization": authorization}
    async with session.post(f"{carriers.url}/carriers/north/messages", data=body, headers=headers) as answer:
        assert answer.status == status
    assert await carriers.ledger() == {}


async def test_same_seed_and_calls_come_to_the_same(session: aiohttp.ClientSession) -> None:
    runs = []
    for seed in (5, 5, 6):
        async with simulated(seed=seed) as carriers:
            await carriers.behave("north", errors={"throttled": 0.3, "destination": 0.2}, loss=0.3)
            outcomes = [await send(session, echo(carriers), message(f"r-{no}")) for no in range(30)]
            runs.append((outcomes, await carriers.ledger()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_simulator_stops_while_calls_hang(session: aiohttp.ClientSession) -> None:
    simulator = await start(carriers=("north",))
    carriers = Carriers(simulator.url, session)
    await carriers.behave("north", timeouts_after=1)
    hanging = asyncio.create_task(send(session, echo(carriers), message()))

    async def taken() -> bool:
        return len(await carriers.inbox(NUMBER)) == 1

    await eventually(taken, within_s=WITHIN_S, what="the message to be taken")
    async with asyncio.timeout(WITHIN_S):
        await simulator.stop()
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await hanging


async def test_simulator_says_what_is_wrong_when_it_cannot_start(carriers: Carriers) -> None:
    with pytest.raises(OSError, match="in use"):
        await start(int(carriers.url.rsplit(":", 1)[1]))
    for names in ((), ("a", "a"), ("a/b",)):
        with pytest.raises(ValueError, match="carriers"):
            await start(carriers=names)
    with pytest.raises(ValueError, match="receipt urls"):
        await start(receipt_url="receipts.example")
