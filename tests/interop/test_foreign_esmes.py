"""Our SMSC against ESMEs that others wrote: Kannel, and smpplib."""

import json
from pathlib import Path
from string import Template

import aiohttp
import pytest

from tests.interop.peers import HERE, PYTHON, Peer, among, has_program, has_python_package, needs, output_of, running
from tests.support.carrier import Carriers, simulated
from tests.support.receiver import receiver
from tests.support.waiting import eventually
from watchword.local.ports import free_ports
from watchword.simulator.world import Sms

pytestmark = pytest.mark.interop
kannel = needs(has_program("bearerbox"), "Kannel")
smpplib = needs(has_python_package("smpplib"), "smpplib")
SMSBOX = "/usr/sbin/smsbox"


@kannel
async def test_kannel_sends_through_our_smsc_and_hears_of_it(tmp_path: Path) -> None:
    admin, box, send = free_ports(3)
    async with simulated(smpp_port=0) as carriers, receiver() as platform:
        await carriers.behave("north", token="northpwd")
        told = {"admin": admin, "box": box, "send": send, "directory": tmp_path}
        smsc = carriers.smpp_url.rpartition(":")[2]
        config = tmp_path / "kannel.conf"
        config.write_text(Template((HERE / "kannel.conf").read_text()).substitute(told, smsc=smsc), "utf-8")
        async with running("bearerbox", str(config)) as bearerbox:
            await _said(bearerbox, "Start-up done")
            async with running(SMSBOX, str(config)):
                await _sent(
                    send, to="+919876543210", text="493021 is your code", **{"dlr-url": platform.url, "dlr-mask": "31"}
                )
                [sms] = await _arrived(carriers, "+919876543210")
                await platform.called(1)
                await carriers.behave("north", errors={"throttled": 1.0})
                await _sent(send, to="+919876543211", text="again, please")
                await _refused(carriers)
                await carriers.behave("north", errors={"throttled": 0.0})
                await _arrived(carriers, "+919876543211")
                await _sent(send, to="+919876543212", text="y" * 200)
                [long] = await _arrived(carriers, "+919876543212")
    assert sms.text == "493021 is your code"
    assert long.text == "y" * 200


async def _said(peer: Peer, word: str) -> None:
    async def there() -> list[str]:
        return among(peer.lines, word)

    await eventually(there, within_s=20, what=f"{word!r} from a peer")


async def _sent(port: int, **fields: str) -> None:
    """Hand Kannel a message, as soon as it takes any."""
    query = {"username": "tester", "password": "tester", "from": "SHOP", **fields}

    async def taken() -> bool:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{port}/cgi-bin/sendsms", params=query) as answer,
            ):
                return answer.status == 202
        except aiohttp.ClientError:
            return False

    await eventually(taken, within_s=30, what="Kannel to take a message")


async def _arrived(carriers: Carriers, number: str) -> list[Sms]:
    async def there() -> list[Sms]:
        return list(await carriers.inbox(number))

    return await eventually(there, within_s=30, what=f"a message on {number}")


async def _refused(carriers: Carriers) -> None:
    async def there() -> bool:
        return any(call.result == "throttled" for call in (await carriers.ledger_of("north")).calls)

    await eventually(there, within_s=20, what="a throttled submission")


@smpplib
@pytest.mark.parametrize("text", ["493021 is your code", "\u0915\u094b\u0921 493021", "z" * 200])
async def test_smpplib_sends_through_our_smsc_and_hears_of_it(text: str) -> None:
    async with simulated(smpp_port=0) as carriers:
        await carriers.behave("north", token="northpwd")
        port = carriers.smpp_url.rpartition(":")[2]
        told = json.loads(
            await output_of(str(PYTHON), str(HERE / "smpplib_esme.py"), port, "919876543210", text, within_s=40)
        )
        [sms] = await carriers.inbox("+919876543210")
    assert sms.text == text
    assert told["ids"][-1].startswith("north-")
    assert f"id:{told['ids'][-1]} " in told["receipts"][0]
    assert "stat:DELIVRD" in told["receipts"][0]
