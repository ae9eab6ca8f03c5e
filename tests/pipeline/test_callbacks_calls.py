"""One call to an endpoint: where it may lead, what it carries, and how long and how much it may take."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.receiver import HANGS, Receiver, Reply, receiver
from watchword.callbacks.caller import BODY_MAX, Caller
from watchword.callbacks.decide.conclude import Answer

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
HOST = "hooks.shop.example"


@dataclass(frozen=True)
class Limits:
    """What a caller of these tests is held to."""

    allow_local: bool = True
    timeout_s: float = 5.0
    lookup_s: float = 2.0
    inflight_max: int = 8


@dataclass
class Names:
    """A name server that answers what it is told to, one answer a look-up, the last one for good."""

    answers: list[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in found]


@asynccontextmanager
async def caller(
    limits: Limits | None = None, names: Names | None = None, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Caller]:
    made = Caller(limits or Limits(), lookup=names or Names([[]]), trust=trust)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def post(to: Caller, url: str) -> Answer:
    return await to.post(url, b"{}", {"webhook-id": "1"}, NOW)


def port_of(shop: Receiver) -> str:
    return shop.url.split(":")[2].split("/")[0]


def certificate(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's certificate for `name`, and whom to trust to believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("10.1.1.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
        .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, secret)
    return server, ssl.create_default_context(cafile=str(chain))


async def test_the_checked_address_is_called_with_the_name_in_tls_and_in_host(tmp_path: Path) -> None:
    server, trust = certificate(tmp_path, HOST)
    told: list[str | None] = []
    server.sni_callback = lambda connection, name, context: told.append(name)
    names = Names([["127.0.0.1"], ["10.0.0.1"]])
    async with receiver(trust=server) as shop, caller(names=names, trust=trust) as to:
        answer = await post(to, f"https://{HOST}:{port_of(shop)}/otp?tenant=shop")
    assert answer == Answer(204)
    [call] = shop.calls
    assert call.headers["host"] == f"{HOST}:{port_of(shop)}"
    assert (call.path, told, names.asked) == ("/otp?tenant=shop", [HOST], [HOST])


async def test_a_certificate_for_another_name_or_by_a_stranger_is_not_believed(tmp_path: Path) -> None:
    server, trust = certificate(tmp_path, HOST)
    names = Names([["127.0.0.1"]])
    async with receiver(trust=server) as shop:
        async with caller(names=names, trust=trust) as to:
            assert await post(to, f"https://other.example:{port_of(shop)}/") == Answer(failure="tls")
        async with caller(names=names) as to:
            assert await post(to, f"https://{HOST}:{port_of(shop)}/") == Answer(failure="tls")
    assert shop.calls == []


@pytest.mark.parametrize(
    "found",
    [
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["8.8.8.8", "192.168.1.1"],
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:8.8.8.8"],
        ["64:ff9b::a00:1"],
        ["fe80::1%eth0"],
        ["not an address"],
    ],
)
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(found: list[str]) -> None:
    async with receiver() as shop, caller(Limits(allow_local=False), Names([found])) as to:
        assert await post(to, f"https://{HOST}:{port_of(shop)}/otp") == Answer(failure="address")
    assert shop.calls == []


async def test_a_private_name_stays_refused_on_a_laptop() -> None:
    async with caller(names=Names([["10.0.0.1"]])) as to:
        assert await post(to, f"https://{HOST}/otp") == Answer(failure="address")


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://127.0.0.1:{port}/otp", "url_address"),
        ("http://2130706433:{port}/otp", "url_host"),
        ("http://user@127.0.0.1:{port}/otp", "url_user"),
        ("http://hooks.shop.example:{port}/otp", "url_scheme"),
    ],
)
async def test_a_url_that_is_refused_is_neither_looked_up_nor_called(url: str, failure: str) -> None:
    names = Names([["127.0.0.1"]])
    async with receiver() as shop, caller(Limits(allow_local=False), names) as to:
        assert await post(to, url.format(port=port_of(shop))) == Answer(failure=failure)
    assert (shop.calls, names.asked) == ([], [])


async def test_a_name_server_that_hangs_costs_its_time_and_no_more() -> None:
    async def hangs(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        await asyncio.Event().wait()
        raise AssertionError("never")

    made = Caller(Limits(lookup_s=0.05), lookup=hangs)
    await made.start()
    try:
        assert (await asyncio.wait_for(post(made, f"https://{HOST}/otp"), 4)).failure in {"timeout", "lookup"}
    finally:
        await made.stop()


async def test_a_name_that_nobody_knows_is_told_as_such() -> None:
    async def unknown(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    made = Caller(Limits(), lookup=unknown)
    await made.start()
    try:
        assert await post(made, f"https://{HOST}/otp") == Answer(failure="lookup")
    finally:
        await made.stop()


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as aim, receiver(Reply(307, headers={"Location": aim.url})) as shop, caller() as to:
        assert (await post(to, shop.url)).status == 307
    assert (len(shop.calls), aim.calls) == (1, [])


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as shop, caller() as to:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await post(to, shop.url) == Answer(204)
    assert proxy.calls == []


async def test_an_endpoint_that_does_not_answer_costs_its_time_and_no_more() -> None:
    async with receiver(HANGS) as shop, caller(Limits(timeout_s=0.2)) as to:
        assert await asyncio.wait_for(post(to, shop.url), 4) == Answer(failure="timeout")
        shop.end()


async def test_an_endpoint_that_is_not_there_is_told_as_such() -> None:
    async with receiver() as shop:
        gone = shop.url
    async with caller() as to:
        assert await post(to, gone) == Answer(failure="connection")


async def test_of_a_long_answer_the_status_counts_and_the_rest_is_left() -> None:
    async with receiver(Reply(200, body=b"x" * BODY_MAX * 20)) as shop, caller() as to:
        assert await post(to, shop.url) == Answer(200)


async def test_an_answer_that_never_ends_counts_by_its_status() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nx")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, caller(Limits(timeout_s=0.3)) as to:
        assert await post(to, f"http://127.0.0.1:{port}/otp") == Answer(202)


@pytest.mark.parametrize("answer", [b"not http at all\r\n\r\n", b"", b"HTTP/1.1 99999 Odd\r\n\r\n"])
async def test_an_answer_that_is_no_http_is_a_failure_like_another(answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, caller() as to:
        assert await post(to, f"http://127.0.0.1:{port}/otp") == Answer(failure="connection")


async def test_the_wish_for_later_is_read_from_the_answer() -> None:
    async with receiver(Reply(503, headers={"Retry-After": "17"})) as shop, caller() as to:
        assert await post(to, shop.url) == Answer(503, retry_after_s=17.0)
