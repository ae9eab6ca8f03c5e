"""Jasmin in the middle: our ESME binds to its SMPP server, and it binds to our SMSC."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest
from msgspec import structs

from tests.interop.jasmin import LATER, PASSWORD, USER, Jasmin, is_installed, jasmin
from tests.interop.peers import needs
from tests.support.carrier import Carriers, simulated
from tests.support.esme import account_at, esme
from tests.support.receiver import Receiver, Reply, receiver
from tests.support.waiting import eventually
from tests.unit.gateways.smpp.stories import MESSAGE
from watchword.dispatch.calling import Caller, Gate
from watchword.dispatch.calling import Reply as Answer
from watchword.gateways.catalog import GATEWAYS, facts_of
from watchword.gateways.contract import Account, Callback
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.local.ports import LOOPBACK
from watchword.simulator.world import Sms

pytestmark = [pytest.mark.interop, needs(is_installed(), "Jasmin, RabbitMQ or Redis (--all)")]
PLAIN, HINDI = "493021 is [yours] 5\u20ac", "\u0915\u094b\u0921 493021"


async def test_jasmin_between_our_esme_and_our_smsc_and_by_its_own_door(tmp_path: Path) -> None:
    """One start for three stories: it takes half a minute."""
    async with simulated(smpp_port=0) as carriers:
        await carriers.behave("north", token="northpwd", receipt_delay_ms=LATER)
        smsc_port = int(carriers.smpp_url.rpartition(":")[2])
        # Jasmin tells again what nobody acknowledged: whoever is told of the first messages listens until all is over.
        async with jasmin(tmp_path, smsc_port) as between, acknowledging() as platform:
            await it_hands_on(between, platform)
            await it_refuses_a_wrong_password_and_we_say_why(between)
            await it_takes_our_messages_and_hands_its_receipts_to_us(between, carriers)
            await it_sends_through_our_smsc_and_hears_of_it(between, carriers)
            await it_reports_both_levels_of_what_our_gateway_for_it_sends(between, carriers)
            await it_drops_none_of_what_it_took_from_our_gateway_for_it(between, carriers)


def acknowledging() -> AbstractAsyncContextManager[Receiver]:
    """Whoever Jasmin reports to, and answers what it waits for."""
    return receiver(Reply(200, body=facts_of("jasmin").acknowledgement.encode()))


async def it_hands_on(between: Jasmin, platform: Receiver) -> None:
    """What comes before all of its parts listen goes nowhere, messages and receipts, and it says that it succeeded."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def heard_of() -> bool:
            async with session.get(f"{between.http_url}/send", params=_asked("+919876543213", platform.url)) as answer:
                assert (await answer.text()).startswith("Success")
            return bool(platform.calls)

        await eventually(heard_of, within_s=30, what="a receipt that Jasmin hands on")


async def it_refuses_a_wrong_password_and_we_say_why(between: Jasmin) -> None:
    async with esme(account(between, "wrong")) as it:
        outcome = await it.send()
    assert isinstance(outcome, Outcome) and outcome.kind is OutcomeClass.ACCOUNT


async def it_takes_our_messages_and_hands_its_receipts_to_us(between: Jasmin, carriers: Carriers) -> None:
    async with esme(account(between, PASSWORD)) as it:
        await it.ready()
        plain = await it.send(PLAIN, to="+919876543210")
        hindi = await it.send(HINDI, to="+919876543211")
        assert isinstance(plain, Outcome) and isinstance(hindi, Outcome)
        assert (plain.kind, hindi.kind) == (OutcomeClass.ACCEPTED, OutcomeClass.ACCEPTED)
        told = {one.provider_id: one.state for one in await it.reported(2)}
    assert told == {plain.provider_id: "delivered", hindi.provider_id: "delivered"}
    assert (await arrived(carriers, "+919876543210")).text == PLAIN
    assert (await arrived(carriers, "+919876543211")).text == HINDI


async def it_sends_through_our_smsc_and_hears_of_it(between: Jasmin, carriers: Carriers) -> None:
    async with acknowledging() as platform, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        async with session.get(f"{between.http_url}/send", params=_asked("+919876543212", platform.url)) as answer:
            assert (await answer.text()).startswith("Success")
        await platform.called(1)
    assert (await arrived(carriers, "+919876543212")).text == "493021 is your code"


async def it_reports_both_levels_of_what_our_gateway_for_it_sends(between: Jasmin, carriers: Carriers) -> None:
    """From our request to our reading of its reports: that its carrier took the message, and that it arrived."""
    gateway, message = GATEWAYS["jasmin"], structs.replace(MESSAGE, to="+919876543214", text=PLAIN)
    async with acknowledging() as door, calling() as caller:
        ours = by_http(between, door.url)
        answer = await caller.call(gateway.encode(message, ours), Gate(lambda: ""), timeout_s=10)
        assert isinstance(answer, Answer)
        outcome = gateway.decode(answer.status, answer.headers, answer.body, ours)
        assert outcome.kind is OutcomeClass.ACCEPTED
        calls = await door.called(2)
        assert (await arrived(carriers, message.to)).text == PLAIN
    callbacks = [Callback("POST", urljoin(door.url, each.path), each.headers, each.body) for each in calls]
    assert all(gateway.verify(each, ours, message.at) for each in callbacks)
    told = [report for each in callbacks for report in gateway.receipts(each, ours)]
    assert [(each.state, each.raw_code) for each in told] == [("submitted", "ESME_ROK"), ("delivered", "DELIVRD")]
    assert {(each.client_ref, each.provider_id) for each in told} == {(message.client_ref, outcome.provider_id)}


async def it_drops_none_of_what_it_took_from_our_gateway_for_it(between: Jasmin, carriers: Carriers) -> None:
    """It drops, after its `Success`, what has a validity and comes in the last tenth of a second."""
    gateway, numbers = GATEWAYS["jasmin"], [f"+9198765433{number:02d}" for number in range(40)]
    ours = by_http(between, "")
    async with calling() as caller:
        for number in numbers:
            answer = await caller.call(
                gateway.encode(structs.replace(MESSAGE, to=number), ours), Gate(lambda: ""), timeout_s=10
            )
            assert isinstance(answer, Answer)
            assert gateway.decode(answer.status, answer.headers, answer.body, ours).kind is OutcomeClass.ACCEPTED
    for number in numbers:
        await arrived(carriers, number)


@asynccontextmanager
async def calling() -> AsyncIterator[Caller]:
    """The connections of one account, as dispatch has them."""
    caller = Caller(1)
    try:
        yield caller
    finally:
        await caller.close()


def by_http(between: Jasmin, door_url: str) -> Account:
    """An account of our gateway for Jasmin, reported to at `door_url`, "" for nowhere."""
    told = {"receipts_url": urljoin(door_url, "/receipts/jasmin")} if door_url else {}
    options = {"username": USER, **told}
    secrets = {"token": PASSWORD, "callback": "proves-our-addresses"}
    return Account(id="jasmin", gateway="jasmin", url=between.http_url, sender="SHOP", options=options, secrets=secrets)


def _asked(to: str, told_url: str) -> dict[str, str]:
    """What its HTTP door is asked for: a message, and its last receipt by POST."""
    message = {"username": USER, "password": PASSWORD, "to": to.removeprefix("+"), "content": "493021 is your code"}
    return message | {"dlr": "yes", "dlr-level": "2", "dlr-method": "POST", "dlr-url": told_url}


def account(between: Jasmin, password: str) -> Account:
    url = f"smpp://{LOOPBACK}:{between.smpp_port}"
    return account_at(url, options={"system_id": USER}, secrets={"password": password})


async def arrived(carriers: Carriers, number: str) -> Sms:
    async def there() -> list[Sms]:
        return list(await carriers.inbox(number))

    [sms] = await eventually(there, within_s=30, what=f"a message on {number}")
    return sms
