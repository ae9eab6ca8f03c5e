"""Our ESME against SMSCs that others wrote: the npm package smpp, and Net::SMPP."""

import json

import pytest

from tests.interop.peers import HERE, INSTALLED, among, has_npm_package, has_perl_module, needs, running
from tests.support.esme import account_at, esme
from tests.support.waiting import eventually
from watchword.dispatch.calling import Silence
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.local.ports import free_ports

pytestmark = pytest.mark.interop
npm = needs(has_npm_package("smpp"), "npm's smpp")
perl = needs(has_perl_module("Net::SMPP"), "Net::SMPP")
NODE_ENVIRONMENT = {"NODE_PATH": str(INSTALLED / "node_modules"), "PATH": "/usr/bin:/bin:/usr/local/bin"}
DLT = {"tlv_1400": "{dlt_entity_id}"}


def accepted(outcome: Outcome | Silence) -> str:
    assert isinstance(outcome, Outcome), outcome
    assert outcome.kind is OutcomeClass.ACCEPTED, outcome
    return outcome.provider_id


@npm
async def test_npm_smpp_takes_our_messages_and_we_its_receipts() -> None:
    [port] = free_ports(1)
    async with running("node", str(HERE / "npm_smsc.js"), str(port), environment=NODE_ENVIRONMENT) as smsc:
        await _said(smsc.lines, "listening")
        async with esme(account_at(f"smpp://127.0.0.1:{port}", options={"enquire_s": "1", **DLT})) as it:
            await it.ready()
            plain = accepted(await it.send("493021 is [yours] 5\u20ac", to="+919876543210"))
            early = accepted(await it.send(to="+919876543215"))
            ill = accepted(await it.send("\u0915\u094b\u0921 493021", to="+919876543218"))
            nonsense = accepted(await it.send(to="+919876543216"))
            long = accepted(await it.send("x" * 200, to="+919876543211"))
            throttled = await it.send(to="+919876543219")
            told = {one.provider_id: one.state for one in await it.reported(6)}
            cut = await it.send(to="+919876543217")
            await it.ready()
            again = accepted(await it.send(to="+919876543210"))
        await _said(smsc.lines, "unbound")
    assert isinstance(throttled, Outcome) and throttled.kind is OutcomeClass.THROTTLED
    assert cut == Silence(True, "connection_lost")
    assert told[plain] == told[early] == told[nonsense] == told[long] == "delivered"
    assert told[ill] == "undelivered"
    assert again.startswith("node-")
    saw = [json.loads(line) for line in smsc.lines]
    assert not [one for one in saw if "error" in one and "ECONNRESET" not in one["error"]]
    first = next(one for one in saw if one.get("number"))
    assert (first["message"], first["source"], first["ton"]) == ("493021 is [yours] 5\u20ac", "SHOP", 5)
    assert all(one["receipt"] == 0 for one in saw if "receipt" in one)


@npm
async def test_npm_smpp_refuses_a_password_and_we_say_why() -> None:
    [port] = free_ports(1)
    async with running("node", str(HERE / "npm_smsc.js"), str(port), environment=NODE_ENVIRONMENT) as smsc:
        await _said(smsc.lines, "listening")
        async with esme(account_at(f"smpp://127.0.0.1:{port}", secrets={"password": "wrong"})) as it:
            outcome = await it.send()
    assert outcome == Outcome(OutcomeClass.ACCOUNT, raw_code="0x0e")


@perl
async def test_net_smpp_takes_our_messages_and_we_its_receipts() -> None:
    [port] = free_ports(1)
    async with running("perl", str(HERE / "net_smpp_smsc.pl"), str(port)) as smsc:
        await _said(smsc.lines, "listening")
        async with esme(account_at(f"smpp://127.0.0.1:{port}", options=DLT)) as it:
            await it.ready()
            delivered = accepted(await it.send("493021 @home", to="+919876543210"))
            expired = accepted(await it.send("\u0915\u094b\u0921", to="+919876543218"))
            throttled = await it.send(to="+919876543219")
            told = {one.provider_id: one.state for one in await it.reported(2)}

            async def answered() -> list[str]:
                return among(smsc.lines, "receipt answered 0")[1:]

            await eventually(answered, within_s=10, what="two receipts answered")
        await _said(smsc.lines, "unbound")
    assert told == {delivered: "delivered", expired: "expired"}
    assert isinstance(throttled, Outcome) and throttled.kind is OutcomeClass.THROTTLED
    assert among(smsc.lines, " 0 ")[0] == f"919876543210 0 {b'493021 '.hex()}00{b'home'.hex()} 1101456789012345678"


async def _said(lines: list[str], word: str) -> None:
    async def there() -> list[str]:
        return among(lines, word)

    await eventually(there, within_s=20, what=f"{word!r} from the SMSC")
