"""TLS on the public door: nothing older than TLS 1.2, and not a word in plaintext."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.attacks.adapter import Target
from tests.contract.runtime.test_http_transport import certificate
from tests.support.waiting import eventually
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.process import Process
from watchword.local.stack import Stack
from watchword.runtime.http_server import tls_context

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
    ours = tls_context(cert, key)
    assert ours is not None
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
async def test_the_real_door_speaks_https_and_nothing_else(stack: Stack, target: Target, tmp_path: Path) -> None:
    """One more process of checks, with a certificate that we made ourselves."""
    cert, key = certificate(tmp_path)
    port, ops = free_ports(2)
    program = stack.children["intake,checks"].program
    own = {
        "WATCHWORD_TLS_CERTIFICATE": cert,
        "WATCHWORD_TLS_KEY": key,
        "WATCHWORD_HTTP_PORT": str(port),
        "WATCHWORD_OPS_PORT": str(ops),
    }
    words = tuple("checks" if word == "intake,checks" else "7" if word == "0" else word for word in program.command)
    process = Process(
        replace(program, command=words, log=tmp_path / "log", environment={**(program.environment or {}), **own})
    )
    secured = replace(target, api=f"https://localhost:{port}".replace("localhost", LOOPBACK))
    trusting = ssl.create_default_context(cafile=cert)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            whole = replace(secured, session=session)

            async def answers() -> bool:
                try:
                    return (await whole.check("nobody", "493021")).status == 404
                except aiohttp.ClientConnectorError:
                    return False

            await eventually(answers, within_s=60, what="the door to be open")
            told = await whole.check("nobody", "493021")
            assert "Strict-Transport-Security" in told.headers
        plain = await secured.wire(b"GET /v1/verifications HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain
    finally:
        await asyncio.to_thread(process.stop)
