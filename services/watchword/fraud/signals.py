"""Signals on their way to the judge: gathered in memory for a moment, published one event a shard (decision 0010).

They do not go through the outbox. What a killed process held, at most `PAUSE_S` times `BUSY_TURNS` of it, is lost, and
the judge's sums are that much too small; no verification depends on it.
"""

from collections import Counter
from collections.abc import Sequence

import structlog

from watchword.events.signal_observed import Observation, SignalObserved
from watchword.fraud.decide import observe
from watchword.fraud.metrics import FraudMetrics
from watchword.runtime import outbox
from watchword.runtime.acting import Told
from watchword.runtime.clock import Clock
from watchword.runtime.outbox import Origin
from watchword.runtime.publishing import Publisher, PublishUnknown
from watchword.runtime.stop import Turning

PAUSE_S = 0.2
BUSY_MIN = 150
BUSY_TURNS = 2
OBSERVATIONS_WAITING_MAX = 100_000

log = structlog.get_logger()


class SignalBuffer:
    """Takes the signals out of what a transaction tells, and publishes them five times a second, or while there are
    many, for an event costs the judge the same whatever it holds, every other time. A service."""

    def __init__(self, publisher: Publisher, clock: Clock, metrics: FraudMetrics) -> None:
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._waiting: list[Observation] = []
        self._waited = 0
        self._turning = Turning("fraud-signals", self._turn, pause_s=PAUSE_S)

    @property
    def waiting(self) -> int:
        """How many observations are not published yet."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin to publish."""
        await self._turning.start()

    async def stop(self) -> None:
        """Publish what waits, end."""
        await self._turning.stop()
        await self.publish()

    def take(self, told: Sequence[Told]) -> Sequence[Told]:
        """The events of one transaction without its signals, which are kept here. A transaction that is redone
        brings the same signals again; the judge knows them by their ids."""
        kept, seen = [], list[Observation]()
        for each in told:
            if isinstance(each.emit.event, SignalObserved):
                seen += each.emit.event.observations
            else:
                kept.append(each)
        self._keep(seen)
        return kept

    async def _turn(self) -> None:
        self._waited += 1
        if len(self._waiting) < BUSY_MIN or self._waited >= BUSY_TURNS:
            await self.publish()

    async def publish(self) -> None:
        """Publish what waits. What Kafka did not acknowledge waits on and may be told twice."""
        taken, self._waiting, self._waited = self._waiting, [], 0
        origin = Origin("fraud", self._clock.now())
        emits = observe.merged(observe.by_shard(taken))
        try:
            await self._publisher.publish([outbox.row(emit, origin, sequence=0).outgoing() for emit in emits])
        except PublishUnknown as error:
            log.warning("fraud.signals_waiting", error=str(error))
            self._keep(taken)

    def _keep(self, seen: Sequence[Observation]) -> None:
        room = OBSERVATIONS_WAITING_MAX - len(self._waiting)
        self._waiting.extend(seen[:room])
        for kind, count in Counter(each.kind for each in seen[:room]).items():
            self._metrics.observations.add(count, outcome=kind.value)
        if len(seen) > room:
            self._metrics.observations.add(len(seen) - room, outcome="dropped")
