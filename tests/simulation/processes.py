"""The workers' processes: each is built of the services its worker is built of in production, on simulated ports."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from tests.simulation.carriers import Carriers, Speaker
from tests.simulation.connections import Pool
from tests.simulation.log import Broker
from tests.simulation.premises import KEYS, Applied
from tests.simulation.tables import Database
from watchword.checks.desk import Desk as ChecksDesk
from watchword.checks.metrics import ChecksMetrics
from watchword.codes import worker as codes
from watchword.dispatch import worker as dispatch
from watchword.dispatch.carriers import Carriers as DispatchCarriers
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.reports import Reports
from watchword.dispatch.settings import DispatchSettings
from watchword.fraud import worker as fraud
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.metrics import FraudMetrics
from watchword.fraud.rulesets import Rulesets
from watchword.fraud.signals import SignalBuffer
from watchword.gateways.contract import Account, QueryableGateway
from watchword.gateways.sessions import AnyGateway
from watchword.intake.desk import Desk as IntakeDesk
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.settings import IntakeSettings
from watchword.receipts import worker as receipts
from watchword.receipts.metrics import ReceiptsMetrics
from watchword.receipts.parked import ParkedReports
from watchword.runtime.clock import DatabaseClock, monotonic_s
from watchword.runtime.health import Health
from watchword.runtime.kafka import Cluster, Reader
from watchword.runtime.keeping import Keeper
from watchword.runtime.loop import Loop
from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.mirror import LevelMirror
from watchword.runtime.process import Context
from watchword.runtime.publishing import Publisher
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller
from watchword.timers import worker as timers
from watchword.timers.metrics import TimersMetrics
from watchword.timers.overdue import Means
from watchword.timers.settings import TimersSettings

SWEEP_AFTER_S = 3.0
_CLUSTER = Cluster("simulated")
_INTAKE, _DISPATCH = IntakeSettings.load(), DispatchSettings.load()
_TIMERS = TimersSettings.load().model_copy(update={"pause_s": 3.0, "sweep_after_s": SWEEP_AFTER_S, "late_grace_s": 2.0})
PARKED_PAUSE_S, PARKED_ROWS_MAX = 2.0, 200


class _Unwatched(Metrics):
    """Metrics that all processes of all histories share, and nobody ever looks at."""

    def before_each_look(self, look: Callable[[], None]) -> None:
        """There is none."""


_METRICS = _Unwatched()
_RUNTIME_METRICS = RuntimeMetrics(_METRICS)
_CHECKS_METRICS, _DISPATCH_METRICS, _FRAUD_METRICS = (
    ChecksMetrics(_METRICS), DispatchMetrics(_METRICS), FraudMetrics(_METRICS)
)  # fmt: skip
_INTAKE_METRICS, _RECEIPTS_METRICS, _TIMERS_METRICS = (
    IntakeMetrics(_METRICS), ReceiptsMetrics(_METRICS), TimersMetrics(_METRICS)
)  # fmt: skip


@dataclass(frozen=True)
class Ports:
    """What processes stand on."""

    database: Database
    broker: Broker
    carriers: Carriers


@dataclass
class Running:
    """What one process runs, and the doors that others knock at."""

    services: list[Service]
    intake: IntakeDesk | None = None
    checks: ChecksDesk | None = None
    reports: Keeper | None = None
    health: Health | None = None

    def __post_init__(self) -> None:
        self._may_fail: list[Any] = [each for each in self.services if hasattr(each, "failed")]

    @property
    def failed(self) -> BaseException | None:
        """The error that ended one of its services."""
        return next((error for each in self._may_fail if (error := each.failed) is not None), None)


def _context(ports: Ports, worker: str, ordinal: int) -> Context:
    pool = cast(Any, Pool(ports.database))
    member = f"{worker}-{ordinal}"
    publisher = Publisher(_CLUSTER, client_id=member, producer=ports.broker.producer)
    return Context(
        worker=worker,
        settings=cast(Any, SimpleNamespace(ordinal=ordinal)),
        cluster=_CLUSTER,
        pool=pool,
        clock=DatabaseClock(pool),
        publisher=publisher,
        reader=partial(Reader, _CLUSTER, member=member, consumer=ports.broker.consumer),
        keyring=KEYS,
        configuration=cast(Any, Applied()),
        health=Health(monotonic_s),
        metrics=_METRICS,
        runtime_metrics=_RUNTIME_METRICS,
        door=cast(Any, None),
        carriers=cast(Any, None),
    )


async def _front(ports: Ports, ordinal: int) -> Running:
    """intake and checks, each with a pool and a publisher of its own."""
    asked, checked = _context(ports, "intake", ordinal), _context(ports, "checks", ordinal)
    intake_teller = Teller("intake", publisher=asked.publisher, pool=asked.pool)
    checks_teller = Teller("checks", publisher=checked.publisher, pool=checked.pool)
    intake = IntakeDesk(
        _INTAKE, pool=asked.pool, clock=asked.clock, keyring=KEYS, teller=intake_teller, metrics=_INTAKE_METRICS
    )
    checks = ChecksDesk(
        pool=checked.pool, clock=checked.clock, keyring=KEYS, teller=checks_teller, metrics=_CHECKS_METRICS
    )
    services: list[Service] = [asked.publisher, checked.publisher, intake_teller, intake, checks_teller, checks]
    return Running(services, intake=intake, checks=checks)


async def _fraud(ports: Ports, ordinal: int) -> Running:
    """The assessing step, with no level in force: the mirror is never started."""
    context, metrics = _context(ports, "fraud", ordinal), _FRAUD_METRICS
    check = context.health.check("fraud.mirror")
    mirror = LevelMirror(_CLUSTER, member="fraud-mirror", clock=context.clock, check=check)
    signals = SignalBuffer(context.publisher, context.clock, metrics)
    gathering = fraud.Gathering(context, mirror, Rulesets(context.configuration, DEFAULT), metrics)
    step = fraud.assessing(gathering, metrics, signals)
    return Running([context.publisher, Loop.of(step, context)])


async def _codes(ports: Ports, ordinal: int) -> Running:
    context = _context(ports, "codes", ordinal)
    return Running([context.publisher, *await codes.build(context)])


class WholePace:
    """Every process may use an account as if it were alone: leases of shares are tried on a real server."""

    def __init__(self, context: Context, carriers: DispatchCarriers) -> None:
        self._accounts = context.configuration.current().accounts.values
        self._carriers = carriers

    async def start(self) -> None:
        """Share it out, for ever."""
        self._carriers.share({each.id: each.per_second for each in self._accounts()}, math.inf)

    async def stop(self) -> None:
        """Nothing is leased."""


async def _dispatch(ports: Ports, ordinal: int) -> Running:
    context, metrics = _context(ports, "dispatch", ordinal), _DISPATCH_METRICS

    def speaking(account: Account, gateway: AnyGateway) -> Speaker:
        return Speaker(account, ports.carriers, can_be_asked=isinstance(gateway, QueryableGateway))

    def sharing(owner: str, carriers: DispatchCarriers) -> Service:
        return WholePace(context, carriers)

    reports = Reports(_keeper(context), metrics)
    built = dispatch.services(context, _DISPATCH, metrics, reports, speaking, sharing)
    lines = next(each for each in built if isinstance(each, Turning) and each.name == "dispatch.lines")
    built.remove(lines)  # no connection is kept
    return Running([context.publisher, *built], health=context.health)


async def _receipts(ports: Ports, ordinal: int) -> Running:
    context, metrics = _context(ports, "receipts", ordinal), _RECEIPTS_METRICS
    teller = Teller("receipts", publisher=context.publisher, pool=context.pool)
    parked = ParkedReports(context, teller, PARKED_ROWS_MAX, metrics)
    keeper = _keeper(context)
    services: list[Service] = [
        context.publisher,
        teller,
        Loop.of(receipts.matching(context, metrics), context),
        Turning("receipts.parked", parked.turn, pause_s=PARKED_PAUSE_S),
        keeper,
    ]
    return Running(services, reports=keeper)


async def _timers(ports: Ports, ordinal: int) -> Running:
    context = _context(ports, "timers", ordinal)
    teller = Teller("timers", publisher=context.publisher, pool=context.pool)
    means = Means(context.pool, context.clock, teller, _TIMERS_METRICS)
    return Running([context.publisher, teller, *timers.overdue(context, _TIMERS, means)])


def _keeper(context: Context) -> Keeper:
    return Keeper(
        context.worker,
        publisher=context.publisher,
        pool=context.pool,
        keyring=KEYS,
        clock=context.clock,
        publish_deadline_s=2.0,
    )


BUILDERS: Mapping[str, Callable[[Ports, int], Any]] = {
    "front": _front,
    "fraud": _fraud,
    "codes": _codes,
    "dispatch": _dispatch,
    "receipts": _receipts,
    "timers": _timers,
}
