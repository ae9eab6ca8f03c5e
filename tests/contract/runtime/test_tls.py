"""The certificate of the doors: what is refused and why, and a renewal that no request notices."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.contract.runtime.door_case import Handlers
from tests.support.certificates import certificate
from watchword.local.ports import LOOPBACK
from watchword.runtime.health import Health, OperationsPort
from watchword.runtime.http import Door
from watchword.runtime.metrics import Metrics
from watchword.runtime.settings import RuntimeSettings, SettingsError
from watchword.runtime.tls import Tls

Serving = Callable[[Tls], "Door | OperationsPort"]


# What is refused --------------------------------------------------------------------------------------------------


def missing(folder: Path) -> tuple[str, str]:
    cert, _ = certificate(folder)
    return cert, str(folder / "nowhere.pem")


def half(folder: Path) -> tuple[str, str]:
    return certificate(folder)[0], ""


def no_certificate(folder: Path) -> tuple[str, str]:
    _, key = certificate(folder)
    return key, key


def no_key(folder: Path) -> tuple[str, str]:
    cert, _ = certificate(folder)
    return cert, cert


def of_another(folder: Path) -> tuple[str, str]:
    return certificate(folder)[0], certificate(folder, name="other")[1]


def expired(folder: Path) -> tuple[str, str]:
    return certificate(folder, ends_in=timedelta(minutes=-1))


def not_yet(folder: Path) -> tuple[str, str]:
    return certificate(folder, ends_in=timedelta(hours=3))


def encrypted(folder: Path) -> tuple[str, str]:
    cert, key = certificate(folder)
    known = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    sealed = serialization.BestAvailableEncryption(b"word")
    Path(key).write_bytes(known.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))
    return cert, key


@pytest.mark.parametrize(
    ("made", "told", "fix"),
    [
        (missing, "TLS_KEY={key}: No such file", "Name a PEM file"),
        (half, "TLS_KEY is not set", "Set it"),
        (no_certificate, "TLS_CERTIFICATE={cert} holds no certificate", "Write the chain there"),
        (no_key, "TLS_KEY={key} holds no private key", "Write the certificate's key there"),
        (of_another, "TLS_CERTIFICATE={cert} and WATCHWORD_TLS_KEY={key} do not work together", "of one renewal"),
        (expired, "TLS_CERTIFICATE={cert} expired at", "Renew it"),
        (not_yet, "TLS_CERTIFICATE={cert} is valid from", "clock"),
        (encrypted, "TLS_KEY={key} is encrypted", "without a passphrase"),
    ],
)  # fmt: skip
def test_a_pair_that_cannot_be_used_is_refused_with_its_file_and_what_to_do(
    tmp_path: Path, made: Callable[[Path], tuple[str, str]], told: str, fix: str
) -> None:
    cert, key = made(tmp_path)
    with pytest.raises(SettingsError) as refused:
        Tls(cert, key)
    words = str(refused.value)
    assert told.format(cert=cert, key=key) in words and fix in words
    assert "PRIVATE" not in words and "BEGIN" not in words


def test_without_a_certificate_nobody_speaks_https_and_the_operations_port_says_so(tmp_path: Path) -> None:
    assert Tls.of(RuntimeSettings()) is None
    with pytest.raises(SettingsError, match="WATCHWORD_OPS_TLS is set"):
        Tls.of_operations(RuntimeSettings(ops_tls=True), None)
    cert, key = certificate(tmp_path)
    settings = RuntimeSettings(tls_certificate=cert, tls_key=key)
    tls = Tls.of(settings)
    assert tls is not None
    assert Tls.of_operations(settings, tls) is None
    assert Tls.of_operations(RuntimeSettings(tls_certificate=cert, tls_key=key, ops_tls=True), tls) is tls


# What is renewed --------------------------------------------------------------------------------------------------


def a_door(tls: Tls) -> Door:
    made = Door(host=LOOPBACK, port=0, metrics=Metrics(), tls=tls)
    made.mount(*Handlers().routes()[1:2])
    return made


def an_operations_port(tls: Tls) -> OperationsPort:
    return OperationsPort(Health(), Metrics(), host=LOOPBACK, port=0, tls=tls)


@asynccontextmanager
async def serving(door: Door | OperationsPort) -> AsyncIterator[tuple[str, int]]:
    """What to ask for, and where."""
    await door.start()
    try:
        assert door.url.startswith("https://")
        path = "/v1/verifications/1" if isinstance(door, Door) else "/livez"
        yield door.url + path, int(door.url.rpartition(":")[2])
    finally:
        await door.stop()


def trusting(*paths: str) -> ssl.SSLContext:
    made = ssl.create_default_context()
    for path in paths:
        made.load_verify_locations(path)
    return made


def serial(path: str) -> int:
    return x509.load_pem_x509_certificate(Path(path).read_bytes()).serial_number


async def shown(port: int, authority: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=trusting(authority))
    told = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.transport.abort()
    del reader
    return told.serial_number


@pytest.mark.parametrize("made", [a_door, an_operations_port])
async def test_a_renewed_certificate_is_taken_up_and_not_one_request_is_dropped(tmp_path: Path, made: Serving) -> None:
    """A connection from before goes on, requests all the while; whoever comes then is shown the new one."""
    cert, key = certificate(tmp_path)
    tls = Tls(cert, key)
    before = serial(cert)
    old = str(tmp_path / "old.pem")
    os.link(cert, old)
    connector = aiohttp.TCPConnector(ssl=trusting(old), limit=1)
    async with serving(made(tls)) as (url, port), aiohttp.ClientSession(connector=connector) as session:

        async def asked(times: int) -> list[int]:
            told = []
            for _ in range(times):
                async with session.get(url) as answer:
                    told.append(answer.status)
                    await answer.read()
            return told

        assert await asked(1) == [200]
        assert await shown(port, cert) == before
        asking = asyncio.create_task(asked(50))
        certificate(tmp_path)
        await tls.turn()
        assert await shown(port, cert) == serial(cert) != before
        assert await asking == [200] * 50
        assert await asked(1) == [200], "the connection of before is still the one that is used"


async def test_a_renewal_that_cannot_be_used_changes_nothing_and_the_next_one_is_taken_up(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    tls = Tls(cert, key)
    metrics = Metrics()
    tls.show(metrics)
    before, old = serial(cert), str(tmp_path / "old.pem")
    os.link(cert, old)
    async with serving(a_door(tls)) as (_, port):
        Path(cert).replace(tmp_path / "away.pem")
        await tls.turn()
        assert await shown(port, old) == before
        certificate(tmp_path, ends_in=timedelta(minutes=-5))
        await tls.turn()
        assert await shown(port, old) == before
        certificate(tmp_path, ends_in=timedelta(minutes=30))
        await tls.turn()
        assert await shown(port, cert) == serial(cert) != before
    assert 1_700 < (metrics.value("watchword_tls_certificate_left_seconds") or 0) <= 1_800


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("made", [a_door, an_operations_port])
async def test_a_client_of_before_tls_1_2_is_turned_away_after_a_renewal_too(tmp_path: Path, made: Serving) -> None:
    cert, key = certificate(tmp_path)
    tls = Tls(cert, key)
    async with serving(made(tls)) as (_, port):
        for _ in range(2):
            old = trusting(cert)
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection(LOOPBACK, port, ssl=old)
            new = trusting(cert)
            new.maximum_version = ssl.TLSVersion.TLSv1_2
            _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=new)
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
            writer.transport.abort()
            certificate(tmp_path)
            await tls.turn()
