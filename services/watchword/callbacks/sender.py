"""The lanes: what is due is claimed, posted and concluded, so many at a time in all and for each endpoint."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from watchword.callbacks.caller import Caller, signed
from watchword.callbacks.decide.circuit import Circuit
from watchword.callbacks.decide.conclude import Answer, Claim, Result, conclude
from watchword.callbacks.decide.schedule import RETRY_AFTER_MAX_S
from watchword.callbacks.ledger import Ledger
from watchword.callbacks.metrics import CallbacksMetrics
from watchword.callbacks.settings import CallbacksSettings
from watchword.kernel.tenancy import Endpoint
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.configuration import Configuration
from watchword.runtime.failpoints import reach
from watchword.runtime.health import Check
from watchword.runtime.stop import Turning

log = structlog.get_logger()

CLAIM_PAUSE_S = 0.02
HOUSEKEEPING_S = 5.0
STOP_WITHIN_S = 12.0
Place = tuple[str, str]


@dataclass(slots=True)
class Lane:
    """One endpoint's circuit and how many calls to it are under way."""

    circuit: Circuit = field(default_factory=Circuit)
    inside: int = 0


class Sender:
    """Calls endpoints for as long as the process lives."""

    def __init__(
        self,
        settings: CallbacksSettings,
        *,
        ledger: Ledger,
        caller: Caller,
        clock: DatabaseClock,
        current: Callable[[], Configuration],
        metrics: CallbacksMetrics,
        check: Check,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._caller = caller
        self._clock = clock
        self._current = current
        self._metrics = metrics
        self._check = check
        self._lanes: dict[Place, Lane] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._asked_first = 0
        self._stopping = False
        self._turnings = (
            Turning("callbacks.sender", self.turn, pause_s=settings.pause_s),
            Turning("callbacks.housekeeping", self.keep_house, pause_s=HOUSEKEEPING_S),
        )

    async def start(self) -> None:
        """Begin to look for what is due."""
        await self._caller.start()
        for turning in self._turnings:
            await turning.start()

    async def stop(self) -> None:
        """Claim nothing more, let calls under way end, and leave what does not to its lease."""
        self._stopping = True
        for turning in self._turnings:
            await turning.stop()
        if self._calls:
            _, left = await asyncio.wait(self._calls, timeout=STOP_WITHIN_S)
            for call in left:
                call.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._caller.stop()

    async def turn(self) -> None:
        """Claim and begin calls until nothing is due that there is room for. Raises what Postgres raises."""
        try:
            await self._clock.refresh()
            while not self._stopping and await self._begin_due():
                self._check.ok()
                await asyncio.wait(self._calls, timeout=CLAIM_PAUSE_S)
        except Exception as error:
            self._check.failing(type(error).__name__)
            raise
        self._check.ok()

    async def keep_house(self) -> None:
        """Put aside what nobody calls, end what is past its time, tell the age of what is due. Raises what Postgres
        raises."""
        endpoints = tuple(self._current().endpoints.values())
        await self._ledger.shelve(endpoints)
        await self._ledger.give_up_late()
        self._metrics.tell_due(await self._ledger.oldest_due_s(endpoints))
        now_s = time.monotonic()
        self._metrics.open_circuits.set(sum(lane.circuit.is_open(now_s) for lane in self._lanes.values()))
        there = {(one.tenant, one.id) for one in endpoints}
        self._lanes = {place: lane for place, lane in self._lanes.items() if place in there or lane.inside}

    async def _begin_due(self) -> int:
        rooms = self._rooms()
        most = self._settings.inflight_max - len(self._calls)
        claims = await self._ledger.claim(rooms, most=most, lease_s=self._settings.lease_s)
        for claim in claims:
            lane = self._lane(claim.tenant, claim.endpoint)
            lane.inside += 1
            call = asyncio.create_task(self._call(claim, lane), name="callbacks-call")
            self._calls.add(call)
            call.add_done_callback(self._over)
        self._metrics.inflight.set(len(self._calls))
        return len(claims)

    def _over(self, call: "asyncio.Task[None]") -> None:
        """A call ended. One that failed by a bug is left to its lease, like one whose process died."""
        self._calls.discard(call)
        error = None if call.cancelled() else call.exception()
        if error is not None:
            log.error("callbacks.call_failed", error=type(error).__name__, exc_info=error)

    def _rooms(self) -> list[tuple[Endpoint, int]]:
        """How many calls each endpoint has room for; who is asked for first changes from time to time."""
        endpoints = [one for one in self._current().endpoints.values() if not one.disabled]
        self._asked_first = (self._asked_first + 1) % max(len(endpoints), 1)
        turned = endpoints[self._asked_first :] + endpoints[: self._asked_first]
        now_s, most = time.monotonic(), self._settings.endpoint_inflight_max
        rooms = []
        for endpoint in turned:
            lane = self._lane(endpoint.tenant, endpoint.id)
            room = lane.circuit.room(now_s, lane.inside, most)
            if room:
                rooms.append((endpoint, room))
        return rooms

    def _lane(self, tenant: str, endpoint: str) -> Lane:
        return self._lanes.setdefault((tenant, endpoint), Lane())

    async def _call(self, claim: Claim, lane: Lane) -> None:
        started = time.monotonic()
        try:
            answer = await self._post(claim)
            result = conclude(claim, answer, self._clock.now())
            took_s = time.monotonic() - started
            _teach(lane.circuit, answer)
        finally:
            lane.inside -= 1
        reach("callbacks.answered")
        self._metrics.results.add(outcome=result.word, reason=reason_of(answer))
        self._metrics.call_seconds.observe(took_s, outcome=result.word)
        await self._conclude(result)

    async def _conclude(self, result: Result) -> None:
        written = await self._ledger.conclude(result)
        if written and result.answer.taken:
            lag_s = (self._clock.now() - result.claim.begun_at).total_seconds()
            self._metrics.lag_seconds.observe(max(lag_s, 0.0))

    async def _post(self, claim: Claim) -> Answer:
        endpoint = self._current().endpoints.get((claim.tenant, claim.endpoint))
        if endpoint is None or not endpoint.secrets:
            return Answer(failure="not_configured")
        now = self._clock.now()
        headers = signed(str(claim.event_id), claim.body, endpoint.secrets, now)
        return await self._caller.post(endpoint.url, claim.body, headers, now)


def reason_of(answer: Answer) -> str:
    """An answer as it is counted: 2xx, 4xx, … or the word for why none came."""
    return f"{answer.status // 100}xx" if answer.status else answer.failure


def _teach(circuit: Circuit, answer: Answer) -> None:
    now_s = time.monotonic()
    if answer.taken:
        circuit.well()
        return
    circuit.failed(now_s)
    if answer.retry_after_s is not None:
        circuit.pause(now_s, min(answer.retry_after_s, RETRY_AFTER_MAX_S))
