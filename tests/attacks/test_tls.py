"""TLS on every door: nothing older than TLS 1.2, not a word in plaintext, and a renewal while they are open."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.attacks.adapter import Target
from tests.support.certificates import certificate
from tests.support.waiting import eventually
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process
from watchword.local.stack import Stack
from watchword.runtime.tls import Tls

TOO_OLD = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
NEW = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def client_of(version: ssl.TLSVersion, authority: str) -> ssl.SSLContext:
    """A client that speaks one version and no other."""
    made = ssl.create_default_context(cafile=authority)
    made.minimum_version = made.maximum_version = version
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made


@asynccontextmanager
async def served(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Whoever gets through the handshake is answered; the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"let in")
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def let_in(port: int, client: ssl.SSLContext) -> bool:
    """Whether the client gets through."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client)
    except (ssl.SSLError, ConnectionError):
        return False
    told = await reader.read()
    writer.close()
    return told == b"let in"


@TOO_OLD
async def test_a_client_of_before_tls_1_2_is_turned_away(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    ours = Tls(cert, key).context
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.load_cert_chain(cert, key)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = ssl.TLSVersion.TLSv1_1
    old = client_of(ssl.TLSVersion.TLSv1_1, cert)
    async with served(ours) as port, served(lax) as elsewhere:
        assert not await let_in(port, old)
        assert await let_in(elsewhere, old), "else the client itself is why it failed"
        assert [await let_in(port, client_of(each, cert)) for each in NEW] == [True, True]


@pytest.mark.attack
async def test_the_real_doors_speak_https_and_nothing_else_and_take_up_a_renewed_certificate(
    stack: Stack, target: Target, tmp_path: Path
) -> None:
    """One more process with every door there is, and a certificate that we made ourselves."""
    cert, key = certificate(tmp_path)
    public, carriers, ops = free_ports(3)
    program = stack.children["intake,checks"].program
    own = {
        "WATCHWORD_TLS_CERTIFICATE": cert,
        "WATCHWORD_TLS_KEY": key,
        "WATCHWORD_HTTP_PORT": str(public),
        "WATCHWORD_RECEIPTS_HTTP_PORT": str(carriers),
        "WATCHWORD_OPS_PORT": str(ops),
        "WATCHWORD_OPS_TLS": "true",
    }
    exchanged = {"intake,checks": "checks,receipts", "0": "7"}
    words = tuple(exchanged.get(word, word) for word in program.command)
    process = Process(
        replace(program, command=words, log=tmp_path / "log", environment={**(program.environment or {}), **own})
    )
    asked = {public: ("/openapi.json", 200), carriers: ("/receipts/nobody", 404), ops: ("/livez", 200)}
    first = ssl.create_default_context(cafile=cert)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=first)) as session:

            async def answers() -> bool:
                try:
                    return [await status(session, port, path) for port, (path, _) in asked.items()] == [
                        wanted for _, wanted in asked.values()
                    ]
                except aiohttp.ClientConnectorError:
                    return False

            await eventually(answers, within_s=60, what="every door to be open")
            certificate(tmp_path)
            second = ssl.create_default_context(cafile=cert)

            async def renewed() -> bool:
                return all([await let_through(port, second) for port in asked])

            await eventually(renewed, within_s=20, what="every door to show the renewed certificate")
            assert await answers(), "the connections of before go on"
        for port in asked:
            secured = replace(target, api=f"https://{LOOPBACK}:{port}")
            assert b"HTTP" not in await secured.wire(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    finally:
        await asyncio.to_thread(process.stop)


async def status(session: aiohttp.ClientSession, port: int, path: str) -> int:
    """What a door answers."""
    async with session.get(f"https://{LOOPBACK}:{port}{path}") as answer:
        return answer.status


async def let_through(port: int, client: ssl.SSLContext) -> bool:
    """Whether the client believes the door's certificate."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client)
    except (ssl.SSLError, ConnectionError):
        return False
    writer.transport.abort()
    return True
