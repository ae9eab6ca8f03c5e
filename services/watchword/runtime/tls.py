"""The certificate of every door of a process, and its renewal while they are open.

A renewed pair of files is loaded whole before anything is changed: handshakes from then on get the new certificate,
and connections that are open keep the one they began with. A pair that cannot be used is told and not taken up.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from watchword.runtime.metrics import Metrics
from watchword.runtime.settings import RuntimeSettings, SettingsError
from watchword.runtime.stop import Turning

log = structlog.get_logger()

LOOK_EVERY_S = 5.0
_PEM_BYTES_MAX = 256 * 1024
_CERTIFICATE, _KEY = "WATCHWORD_TLS_CERTIFICATE", "WATCHWORD_TLS_KEY"

Stamp = tuple[tuple[int, int, int], ...]


class TlsMetrics:
    """What is told of the certificate, where there is one."""

    def __init__(self, metrics: Metrics) -> None:
        own = metrics.of("tls")
        self.left = own.gauge("certificate_left_seconds", "Until the certificate of the doors is no longer valid.")


class Tls:
    """One certificate for any number of doors. A service: started, it looks for a renewed one every few seconds."""

    def __init__(self, certificate: str, key: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Raises SettingsError naming the file and what to do, where the pair cannot be used now."""
        self._paths = (certificate, key)
        self._now = now
        self._stamp = self._looked_at()
        # What listens keeps this context for good, and hands each handshake on to the newest one.
        self.context, self.ends_at = load(certificate, key, now())
        self._newest = self.context
        self.context.sni_callback = self._hand_on
        self._turning = Turning("tls", self.turn, pause_s=LOOK_EVERY_S)

    @classmethod
    def of(cls, settings: RuntimeSettings) -> "Tls | None":
        """What the settings describe, None where they name neither file. Raises SettingsError."""
        if not settings.tls_certificate and not settings.tls_key:
            return None
        return cls(settings.tls_certificate, settings.tls_key)

    @staticmethod
    def of_operations(settings: RuntimeSettings, tls: "Tls | None") -> "Tls | None":
        """What the operations port speaks, where the doors speak `tls`. Raises SettingsError."""
        if settings.ops_tls and tls is None:
            raise SettingsError(f"WATCHWORD_OPS_TLS is set, and no certificate. Set {_CERTIFICATE} and {_KEY} too.")
        return tls if settings.ops_tls else None

    def show(self, metrics: Metrics) -> None:
        """Have the metrics tell how long the certificate is still good."""
        own = TlsMetrics(metrics)
        metrics.before_each_look(lambda: own.left.set((self.ends_at - self._now()).total_seconds()))

    async def start(self) -> None:
        """Begin to look."""
        await self._turning.start()

    async def stop(self) -> None:
        """Look no more."""
        await self._turning.stop()

    async def turn(self) -> None:
        """Take the pair up if it was changed and can be used; what cannot is told once, and the old one stays."""
        stamp = self._looked_at()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._newest, self.ends_at = await asyncio.to_thread(load, *self._paths, self._now())
        except SettingsError as error:
            log.error("tls.not_taken_up", error=str(error), ends_at=self.ends_at.isoformat())
            return
        log.info("tls.taken_up", ends_at=self.ends_at.isoformat())

    def _hand_on(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = self._newest

    def _looked_at(self) -> Stamp | None:
        """What tells one state of the files from another: also where a directory of secrets is exchanged whole."""
        try:
            found = [Path(path).stat() for path in self._paths]
        except OSError:
            return None
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def load(certificate: str, key: str, now: datetime) -> tuple[ssl.SSLContext, datetime]:
    """TLS 1.2 or newer from PEM files, and until when the certificate is valid. Raises SettingsError."""
    chain = _read(_CERTIFICATE, certificate, "certificate chain, the door's own first")
    secret = _read(_KEY, key, "unencrypted key of the certificate")
    first = _certificate(certificate, chain)
    _refuse_other_key(certificate, key, first, secret)
    _refuse_wrong_time(certificate, first, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise SettingsError(
            f"{_CERTIFICATE}={certificate} and {_KEY}={key} do not work together: {why}. "
            "Name a PEM chain and its unencrypted key, as one renewal wrote them."
        ) from None
    return context, first.not_valid_after_utc


def _read(variable: str, path: str, what: str) -> bytes:
    if not path:
        raise SettingsError(f"{variable} is not set, and the other half of the pair is. Set it to a PEM file: {what}.")
    try:
        with Path(path).open("rb") as file:
            return file.read(_PEM_BYTES_MAX)
    except OSError as error:
        raise SettingsError(
            f"{variable}={path}: {error.strerror}. Name a PEM file that this process may read: {what}."
        ) from None


def _certificate(path: str, chain: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise SettingsError(
            f"{_CERTIFICATE}={path} holds no certificate in PEM. Write the chain there, the door's own first."
        ) from None


def _refuse_other_key(certificate: str, path: str, first: x509.Certificate, secret: bytes) -> None:
    try:
        known = load_pem_private_key(secret, password=None)
    except TypeError:
        raise SettingsError(f"{_KEY}={path} is encrypted. Write the key there without a passphrase.") from None
    except ValueError:
        raise SettingsError(f"{_KEY}={path} holds no private key in PEM. Write the certificate's key there.") from None
    if known.public_key() != first.public_key():
        raise SettingsError(
            f"{_CERTIFICATE}={certificate} and {_KEY}={path} do not work together: the key is another certificate's. "
            "Name both files of one renewal."
        )


def _refuse_wrong_time(path: str, first: x509.Certificate, now: datetime) -> None:
    if now >= first.not_valid_after_utc:
        raise SettingsError(f"{_CERTIFICATE}={path} expired at {first.not_valid_after_utc:%Y-%m-%d %H:%MZ}. Renew it.")
    if now < first.not_valid_before_utc:
        raise SettingsError(
            f"{_CERTIFICATE}={path} is valid from {first.not_valid_before_utc:%Y-%m-%d %H:%MZ} only. "
            "Correct this machine's clock, or name a certificate that is valid now."
        )


def _no_password() -> str:
    raise ValueError("encrypted")
