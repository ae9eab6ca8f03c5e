"""The simulator's carriers, met by the gateways that will call them: messages, refusals, calls that nobody answers."""

import asyncio

import aiohttp
import pytest

from tests.pipeline.simulator.playing import NUMBER, WITHIN_S, called, echo, form, message, send
from tests.support.carrier import Carriers
from tests.support.waiting import eventually
from watchword.gateways.catalog import QUERYABLE
from watchword.gateways.outcome import OutcomeClass

REFUSALS = [kind for kind in OutcomeClass if kind is not OutcomeClass.ACCEPTED]


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
    carriers: Carriers, session: aiohttp.ClientSession, field: str, sms: int
) -> None:
    await carriers.behave("north", **{field: 1})
    asking = asyncio.create_task(send(session, echo(carriers), message()))

    async def has_come() -> bool:
        return len((await carriers.ledger_of("north")).calls) == 1

    await eventually(has_come, within_s=WITHIN_S, what="the call to have come")
    assert len(await carriers.inbox(NUMBER)) == sms
    assert not asking.done()
    asking.cancel()
    await asyncio.wait({asking})
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
