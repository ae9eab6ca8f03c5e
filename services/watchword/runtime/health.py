"""Whether this process lives and is ready, told on the operations port: /livez, /readyz, /metrics.

Live: the event loop turns, and nothing that must turn has stood still. Ready: every named check is well and nobody
has begun to drain. Both answer 200 or 503 with the checks as a JSON list.
"""

import time
from collections.abc import Callable

import msgspec
from aiohttp import web

from watchword.runtime.metrics import Metrics
from watchword.runtime.tls import Tls

_JSON = "application/json"
_STOP_DEADLINE_S = 2.0


class CheckState(msgspec.Struct, frozen=True):
    """One check as it is told. `age_s` counts from its last word; `why` is "" while it is well."""

    check: str
    ok: bool
    age_s: float
    why: str


class Check:
    """One thing that must be well. Not yet told counts as failing."""

    def __init__(
        self,
        name: str,
        *,
        ready_within_s: float | None,
        live_within_s: float | None,
        monotonic: Callable[[], float],
    ) -> None:
        self.name = name
        self.live_within_s = live_within_s
        self._ready_within_s = ready_within_s
        self._monotonic = monotonic
        self._told_at = monotonic()
        self._why = "not checked yet"

    def ok(self) -> None:
        """It is well now."""
        self._told_at = self._monotonic()
        self._why = ""

    def failing(self, why: str) -> None:
        """It is not well; `why` in a word or two, without values."""
        self._told_at = self._monotonic()
        self._why = why

    def state(self) -> CheckState:
        """What it says now; a word that is too old counts as failing."""
        age_s = self.age_s()
        why = self._why
        if not why and self._ready_within_s is not None and age_s > self._ready_within_s:
            why = "stale"
        return CheckState(self.name, not why, round(age_s, 1), why)

    def age_s(self) -> float:
        """Seconds since it last said anything."""
        return self._monotonic() - self._told_at


class Health:
    """The checks of one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._checks: dict[str, Check] = {}
        self._draining = False

    def check(self, name: str, *, ready_within_s: float | None = None, live_within_s: float | None = None) -> Check:
        """A new check, or the one of that name.

        `ready_within_s`: a good word older than that no longer counts. `live_within_s`: without any word for that
        long the process counts as dead, to be restarted.
        """
        if name not in self._checks:
            self._checks[name] = Check(
                name, ready_within_s=ready_within_s, live_within_s=live_within_s, monotonic=self._monotonic
            )
        return self._checks[name]

    def draining(self) -> None:
        """From now on not ready: finishing what is in flight."""
        self._draining = True

    def readiness(self) -> list[CheckState]:
        """Every check; ready if all are ok."""
        told = [check.state() for check in self._checks.values()]
        if self._draining:
            told.append(CheckState("draining", False, 0.0, "shutting down"))
        return told

    def liveness(self) -> list[CheckState]:
        """Checks that must keep turning; alive if all are ok."""
        told = []
        for check in self._checks.values():
            if check.live_within_s is not None:
                stands = check.age_s() > check.live_within_s
                told.append(
                    CheckState(check.name, not stands, round(check.age_s(), 1), "stands still" if stands else "")
                )
        return told


class OperationsPort:
    """Serves a `Health` and a `Metrics`. `port` 0 takes a free one; `url` tells which."""

    def __init__(self, health: Health, metrics: Metrics, *, host: str, port: int, tls: Tls | None = None) -> None:
        self._health = health
        self._metrics = metrics
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the port is taken."""
        server = web.Server(self._answer, access_log=None, keepalive_timeout=15, auto_decompress=False)
        self._runner = web.ServerRunner(server, shutdown_timeout=_STOP_DEADLINE_S)
        await self._runner.setup()
        context = self._tls.context if self._tls else None
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=context).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        match request.path:
            case "/livez":
                return _told(self._health.liveness())
            case "/readyz":
                return _told(self._health.readiness())
            case "/metrics":
                content_type, body = self._metrics.exposition()
                return web.Response(body=body, headers={"Content-Type": content_type})
        return web.Response(status=404)


def _told(states: list[CheckState]) -> web.Response:
    well = all(state.ok for state in states)
    return web.Response(status=200 if well else 503, body=msgspec.json.encode(states), content_type=_JSON)
