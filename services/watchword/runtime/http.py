"""The HTTP door: one table of routes, served on one port, strict about what comes in.

A worker mounts `Route`s; a handler gets a `Call` whose body is decoded, whose caller is known and may do this, and
gives an `Answer` or raises a `Problem`. Everything else that can happen is turned into a problem here.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec
import structlog
from aiohttp import web

from watchword.runtime import http_reading as reading
from watchword.runtime.access import (
    Network,
    authenticate,
    client_address,
    is_loopback,
    is_trusted,
    networks,
    refuse_open_plaintext,
)
from watchword.runtime.api_keys import ApiKey
from watchword.runtime.clock import Clock
from watchword.runtime.coalesce import Overloaded
from watchword.runtime.configuration import Configuration
from watchword.runtime.http_server import Limits, Listener, Reply
from watchword.runtime.metrics import Metrics
from watchword.runtime.openapi import document
from watchword.runtime.pages import DOCS, HTML, OPENAPI, PROBLEM_PAGES, docs_page, problem_page
from watchword.runtime.patience import Patience
from watchword.runtime.postgres import AWAY
from watchword.runtime.problems import Problem
from watchword.runtime.settings import RuntimeSettings
from watchword.runtime.strict_json import BODY_MAX
from watchword.runtime.tls import Tls

log = structlog.get_logger()

RAW_BODY_MAX = 64 * 1024
RETRY_AFTER_S = 2.0

B = TypeVar("B")

_EVERY_ANSWER = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ENCODER = msgspec.json.Encoder().encode
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Answer(msgspec.Struct, frozen=True):
    """What a handler answers: a struct (or anything msgspec encodes), or bytes that are sent as they are."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = _NO_HEADERS


class Call(msgspec.Struct, Generic[B], frozen=True, kw_only=True):
    """One request, let in. `body` is the route's request struct, bytes on a raw route, None where there is none.
    `caller` is None on routes without a scope. `traceparent` is the caller's own, "" if there is none that can be read.
    `url` is as the caller wrote it, for signatures over it. `address` looks up where it came from, `gone` says whether
    the caller has hung up meanwhile, so that nobody waits on its behalf."""

    body: B
    params: Mapping[str, str]
    query: Any
    headers: Mapping[str, str]
    caller: ApiKey | None
    address: Callable[[], str]
    idempotency_key: str
    traceparent: str
    method: str
    url: str
    gone: Callable[[], bool]

    def __repr__(self) -> str:
        return f"<Call {self.method}>"

    @property
    def client_ip(self) -> str:
        """The nearest address that is not a trusted proxy."""
        return self.address()

    @property
    def tenant(self) -> str:
        """Whose call this is. Raises RuntimeError on a route without a scope."""
        if self.caller is None:
            raise RuntimeError("a route without a scope has no tenant")
        return self.caller.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[B]):
    """One operation of a door.

    `path` has parameters in braces. `request` is the body's struct, `bytes` for a body of any type up to 64 KiB that
    is passed on as it came, None for no body. `query` is the struct of the query. `responses` maps a status to the
    struct answered, `problems` names the codes that may be answered besides the usual ones. `scope` "" lets
    everybody in. `idempotent` routes read Idempotency-Key, `waits` says that it honours `Prefer: wait=N`.
    """

    method: str
    path: str
    name: str
    request: type[B] | None
    responses: Mapping[int, Any]
    handler: Callable[[Call[B]], Awaitable[Answer]]
    summary: str = ""
    problems: tuple[str, ...] = ()
    scope: str = ""
    idempotent: bool = False
    waits: bool = False
    query: type[msgspec.Struct] | None = None


class Configured(Protocol):
    """Whatever knows the newest configuration: a ConfigurationWatch."""

    def current(self) -> Configuration:
        """The newest snapshot."""


@dataclass(frozen=True, slots=True)
class _Mounted:
    route: Route[Any]
    segments: tuple[str, ...]
    configuration: Configured | None
    clock: Clock | None

    def params(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The path's parameters if it is this route's path, else None."""
        found: dict[str, str] = {}
        for own, given in zip(self.segments, segments, strict=True):
            if own.startswith("{"):
                found[own[1:-1]] = given
            elif own != given:
                return None
        return found


class Door:
    """One port and the routes on it. Start it after everything its handlers need; stop it before."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        metrics: Metrics,
        tls: Tls | None = None,
        trusted_proxies: tuple[Network, ...] = (),
        title: str = "Watchword",
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> None:
        """Raises SettingsError if it would speak plaintext to the network. `port` 0 takes a free one;
        `url` tells which."""
        self._tls = tls
        refuse_open_plaintext(host, tls=self._tls is not None, trusted=trusted_proxies)
        self._listener = Listener(self._serve, host=host, port=port, tls=self._tls, limits=limits)
        self._limits = limits
        self._patience = Patience(limits.handle_s)
        self._trusted = trusted_proxies
        self._title = title
        self._routes: dict[tuple[int, str | None], list[_Mounted]] = {}
        self._inflight = 0
        own = metrics.of("http")
        self._requests = own.counter("requests_total", "Requests answered.", "route", "method", "code_class")
        self._seconds = own.histogram("request_seconds", "From headers read to answer made.", "route")
        self._headers = {**_EVERY_ANSWER, **(_HTTPS_ONLY if self._tls else {})}
        self._openapi = b""
        self._elsewhere: list[Route[Any]] = []
        self._mount_pages()

    @classmethod
    def of(cls, settings: RuntimeSettings, port: int, metrics: Metrics, tls: Tls | None) -> Self:
        """The door that the settings describe, on `port`. Raises SettingsError."""
        return cls(
            host=settings.http_host,
            port=port,
            metrics=metrics,
            tls=tls,
            trusted_proxies=networks(settings.trusted_proxies),
        )

    @property
    def url(self) -> str:
        """Where the door is, once started; "" before."""
        return self._listener.url

    @property
    def routes(self) -> list[Route[Any]]:
        """Every route mounted."""
        return [mounted.route for some in self._routes.values() for mounted in some]

    def mount(self, *routes: Route[Any], configuration: Configured | None = None, clock: Clock | None = None) -> None:
        """Serve these routes. Those with a scope need `configuration` (for the keys) and `clock` (for their expiry).
        Raises ValueError without, or if a method and path are taken."""
        for route in routes:
            if route.scope and (configuration is None or clock is None):
                raise ValueError(f"{route.name} has a scope, so it needs configuration and clock")
            segments = tuple(route.path.split("/"))
            some = self._routes.setdefault(_place_of(segments), [])
            if any(one.route.method == route.method and one.segments == segments for one in some):
                raise ValueError(f"{route.method} {route.path} is mounted twice")
            some.append(_Mounted(route, segments, configuration, clock))
        self._openapi = b""

    def describe(self, *routes: Route[Any]) -> None:
        """Tell of these routes as of our own: another process serves them under the same address."""
        self._elsewhere += routes
        self._openapi = b""

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the port is taken."""
        await self._listener.start()

    async def stop(self) -> None:
        """Take no more connections, finish what is in flight within the limit, close."""
        await self._listener.stop()
        self._patience.close()

    # One request ------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> Reply:
        started = time.perf_counter()
        name = "unmatched"
        self._inflight += 1
        try:
            if self._inflight > self._limits.inflight_max:
                raise Problem("overloaded", retry_after_s=RETRY_AFTER_S)
            mounted, params = self._find(request)
            name = mounted.route.name
            answer = await self._answer(mounted, params, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer
            answer = _as_answer(error, request)
        finally:
            self._inflight -= 1
        method = request.method if request.method in _METHODS else "other"
        self._requests.add(route=name, method=method, code_class=f"{answer.status // 100}xx")
        self._seconds.observe(time.perf_counter() - started, route=name)
        return self._reply(answer)

    def _find(self, request: web.BaseRequest) -> tuple[_Mounted, dict[str, str]]:
        peer = request.remote or ""
        if self._tls is None and not is_loopback(peer) and not is_trusted(peer, self._trusted):
            raise Problem("forbidden_plaintext")
        segments = request.path.split("/")
        allowed = []
        count = len(segments)
        for mounted in (*self._routes.get((count, segments[-1]), ()), *self._routes.get((count, None), ())):
            params = mounted.params(segments)
            if params is not None:
                if mounted.route.method == request.method:
                    return mounted, params
                allowed.append(mounted.route.method)
        if allowed:
            raise Problem("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})
        raise Problem("not_found")

    async def _answer(self, mounted: _Mounted, params: Mapping[str, str], request: web.BaseRequest) -> Answer:
        route = mounted.route
        caller = _caller(mounted, request)
        key = reading.idempotency_key(request) if route.idempotent else ""
        raw = await self._read(request, route)
        call = Call(
            body=_body(raw, route, request),
            params=params,
            query=reading.query(request, route.query) if route.query is not None else None,
            headers=request.headers,
            caller=caller,
            address=lambda: client_address(
                request.remote or "", request.headers.getall("X-Forwarded-For", ()), self._trusted
            ),
            idempotency_key=key,
            traceparent=reading.traceparent(request),
            method=request.method,
            url=request.raw_path,
            gone=lambda: request.transport is None,
        )
        with self._patience.within():
            return await route.handler(call)

    async def _read(self, request: web.BaseRequest, route: Route[Any]) -> bytes:
        if route.request is None:
            return b""
        bytes_max = RAW_BODY_MAX if route.request is bytes else BODY_MAX
        return await reading.read(request, bytes_max=bytes_max, within_s=self._limits.read_s)

    def _reply(self, answer: Answer) -> Reply:
        body = answer.body if isinstance(answer.body, bytes) else b"" if answer.body is None else _ENCODER(answer.body)
        return Reply(
            answer.status, {**self._headers, **answer.headers}, body, keep_alive=answer.status not in (408, 413)
        )

    # Pages about the door itself ---------------------------------------------------------------------------------

    def _mount_pages(self) -> None:
        async def openapi(call: Call[None]) -> Answer:
            if not self._openapi:
                self._openapi = msgspec.json.encode(document(self._title, [*self.routes, *self._elsewhere]))
            return Answer(200, self._openapi)

        async def page(call: Call[None]) -> Answer:
            return Answer(200, problem_page(call.params["code"]), HTML)

        async def docs(call: Call[None]) -> Answer:
            return Answer(200, docs_page(self._title, [*self.routes, *self._elsewhere]), HTML)

        self.mount(
            Route(method="GET", path=OPENAPI, name="openapi", request=None, responses={200: None}, handler=openapi),
            Route(method="GET", path=PROBLEM_PAGES, name="problem", request=None, responses={200: None}, handler=page),
            Route(method="GET", path=DOCS, name="docs", request=None, responses={200: None}, handler=docs),
        )


def _place_of(segments: Sequence[str]) -> tuple[int, str | None]:
    """Where a path is looked for: by how many segments it has, and the last one, None where that is a parameter."""
    return len(segments), None if segments[-1].startswith("{") else segments[-1]


def _caller(mounted: _Mounted, request: web.BaseRequest) -> ApiKey | None:
    if not mounted.route.scope or mounted.configuration is None or mounted.clock is None:
        return None
    presented = request.headers.getall("Authorization", ())
    # Of two, whoever stands before us may have looked at the other one.
    alone = presented[0] if len(presented) == 1 else ""
    return authenticate(alone, mounted.route.scope, mounted.configuration.current(), mounted.clock.now())


def _body(raw: bytes, route: Route[Any], request: web.BaseRequest) -> Any:
    if route.request is None:
        return None
    return raw if route.request is bytes else reading.body(raw, route.request, request)


def _as_answer(error: Exception, request: web.BaseRequest) -> Answer:
    """What the caller is told of an exception; what is not expected is logged under the trace id that is answered."""
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, (*AWAY, Overloaded)):
        log.warning("http.unavailable", error=type(error).__name__)
        problem = Problem("unavailable", retry_after_s=RETRY_AFTER_S)
    else:
        trace_id = reading.trace_id_of(request)
        log.error("http.failed", trace_id=trace_id, exc_info=error)
        problem = Problem("internal", members={"trace_id": trace_id})
    return Answer(problem.status, problem.body(), problem.headers())
