"""Calling an endpoint: signed, to a checked address, without redirects, proxies or cookies, within its time."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook
from yarl import URL

from watchword.callbacks.decide.conclude import Answer, retry_after
from watchword.kernel.destination import Destination, Refusal, admits, destination

BODY_MAX = 64 * 1024
USER_AGENT = "Watchword-Callbacks/1"
_CHUNK = 8 * 1024
_LOOKUPS_MAX = 32
_LOOKUP_KEPT_S = 5

Lookup = Callable[[str, int], Awaitable[Sequence[tuple[socket.AddressFamily, str]]]]
"""A host name and a port to addresses. Raises OSError."""


class Limits(Protocol):
    """What a caller is held to: `callbacks.settings.CallbacksSettings`, or a test's own."""

    @property
    def allow_local(self) -> bool:
        """Whether this machine may be called."""

    @property
    def timeout_s(self) -> float:
        """Seconds for a whole call."""

    @property
    def lookup_s(self) -> float:
        """Seconds for a look-up."""

    @property
    def inflight_max(self) -> int:
        """Calls at a time."""


class AddressRefused(OSError):
    """A name leads to an address that is not on the public internet. Says no address."""


class CheckedResolver(AbstractResolver):
    """Looks a name up once, and gives the connector only addresses that may be called: if one of them may not, none
    is, for a name that leads both inside and outside was made to."""

    def __init__(self, lookup: Lookup, *, lookup_s: float, local: bool) -> None:
        self._lookup = lookup
        self._lookup_s = lookup_s
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises AddressRefused, OSError, TimeoutError."""
        async with asyncio.timeout(self._lookup_s):
            found = await self._lookup(host, port)
        if not all(admits(address, local=self._local) for _, address in found):
            raise AddressRefused("the host leads to an address that is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class SystemLookup:
    """The system's resolver, in threads of its own: a name server that hangs holds up look-ups and nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_MAX, thread_name_prefix="callbacks-lookup")

    async def __call__(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        """As `Lookup` says."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)

    def close(self) -> None:
        """Take no more look-ups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Caller:
    """Posts notifications. `lookup` and `trust` replace the system's resolver and certificates."""

    def __init__(self, limits: Limits, *, lookup: Lookup | None = None, trust: ssl.SSLContext | None = None) -> None:
        self._limits = limits
        self._system = SystemLookup() if lookup is None else None
        self._lookup: Lookup = lookup or self._system  # type: ignore[assignment]  # one of the two is there
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool of connections."""
        limits = self._limits
        resolver = CheckedResolver(self._lookup, lookup_s=limits.lookup_s, local=limits.allow_local)
        connector = aiohttp.TCPConnector(
            resolver=resolver,
            limit=limits.inflight_max,
            ssl=self._trust or True,
            ttl_dns_cache=_LOOKUP_KEPT_S,
            keepalive_timeout=15,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=limits.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept-Encoding": "identity"},
        )

    async def stop(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        if self._system is not None:
            self._system.close()

    async def post(self, url: str, body: bytes, headers: dict[str, str], now: datetime) -> Answer:
        """What an endpoint answers to one notification. Never raises for what the endpoint or its network does."""
        where = destination(url, local=self._limits.allow_local)
        if isinstance(where, Refusal):
            return Answer(failure=f"url_{where}")
        assert self._session is not None, "start comes before post"
        try:
            return await self._exchange(self._session, where, body, headers, now)
        except AddressRefused:
            return Answer(failure="address")
        except aiohttp.ClientConnectorDNSError as error:
            return Answer(failure="address" if isinstance(error.os_error, AddressRefused) else "lookup")
        except (aiohttp.ClientSSLError, ssl.SSLError):
            return Answer(failure="tls")
        except TimeoutError:
            return Answer(failure="timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(failure="connection")

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        where: Destination,
        body: bytes,
        headers: dict[str, str],
        now: datetime,
    ) -> Answer:
        async with session.post(url_of(where), data=body, headers=headers, allow_redirects=False) as response:
            answer = Answer(response.status, retry_after_s=retry_after(response.headers.get("Retry-After"), now))
            if not await _drained(response):
                response.close()
            return answer


def url_of(where: Destination) -> URL:
    """The URL to call, built from the parts that were checked and parsed by nobody again."""
    return URL.build(
        scheme=where.scheme,
        host=where.host,
        port=where.port,
        path=where.path,
        query_string=where.query,
        encoded=True,
    )


def signed(event_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of the Standard Webhooks scheme: signed by every secret, so that one may be replaced."""
    text = body.decode()
    signatures = [Webhook(secret).sign(event_id, now, text) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def _drained(response: aiohttp.ClientResponse) -> bool:
    """Whether the whole answer was read, `BODY_MAX` at most. Its words do not matter, only its status does: once that
    is here nothing that follows makes a taken notification untaken."""
    size = 0
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > BODY_MAX:
                return False
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
    return True


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(family, str(address[0])) for family, _, _, _, address in found]
