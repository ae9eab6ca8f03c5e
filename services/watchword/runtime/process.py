"""One process: what its workers share, what each of them gets, and the order in which it all starts and stops."""

import asyncio
import gc
import importlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from aiokafka.errors import KafkaError

from watchword.flow import BY_NAME, WORKERS, Worker
from watchword.runtime import failpoints
from watchword.runtime.clock import DatabaseClock
from watchword.runtime.configuration import ConfigurationWatch
from watchword.runtime.health import Health, OperationsPort
from watchword.runtime.http import Door
from watchword.runtime.kafka import Cluster, Reader, cluster_of
from watchword.runtime.keyring import Keyring
from watchword.runtime.metrics import Metrics, RuntimeMetrics
from watchword.runtime.migrations import expected_level, level
from watchword.runtime.postgres import Pool, connect
from watchword.runtime.publishing import Publisher
from watchword.runtime.readiness import Readiness
from watchword.runtime.settings import RuntimeSettings, SettingsError
from watchword.runtime.stop import Service, Turning, stop_all
from watchword.runtime.tls import Tls

log = structlog.get_logger()

STOP_DEADLINE_S = 25.0
GC_YOUNG_MAX = 20_000
WATCH_PAUSE_S = 0.5
CONFIGURATION_FRESH_S = 30.0


@dataclass(frozen=True)
class Context:
    """What a worker is given when it is built.

    `pool` acts under the worker's own role; `keyring` holds only the purposes the worker names; `reader` makes a
    group member with a static id for this ordinal; `door` is the process's public HTTP port, shared by the workers
    that mount routes on it, and `carriers` the one carriers call back on.
    """

    worker: str
    settings: RuntimeSettings
    cluster: Cluster
    pool: Pool
    clock: DatabaseClock
    publisher: Publisher
    reader: Callable[..., Reader]
    keyring: Keyring
    configuration: ConfigurationWatch
    health: Health
    metrics: Metrics
    runtime_metrics: RuntimeMetrics
    door: Door
    carriers: Door


class Stopped(Exception):
    """A service ended by itself: a bug or broken infrastructure that only a restart can mend."""


@dataclass
class Process:
    """A process that runs some workers until it is told to stop."""

    settings: RuntimeSettings
    workers: Sequence[Worker]
    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    _pools: list[Pool] = field(default_factory=list)
    _publishers: list[Publisher] = field(default_factory=list)
    _services: list[Service] = field(default_factory=list)

    async def start(self) -> None:
        """Open the operations port, connect, build and start every worker, open the doors last. Raises when
        something is not to be had."""
        failpoints.arm(self.settings.failpoints)
        started = self.health.check("started")
        started.failing("starting")
        runtime_metrics = RuntimeMetrics(self.metrics)
        self.metrics.before_each_look(partial(_show_readiness, self.health, runtime_metrics))
        self.metrics.before_each_look(lambda: runtime_metrics.tasks.set(len(asyncio.all_tasks())))
        tls = Tls.of(self.settings)
        own = Tls.of_operations(self.settings, tls)
        if tls is not None:
            tls.show(self.metrics)
            await self._start(tls)
        if self.settings.ops_port:
            host, port = self.settings.ops_host, self.settings.ops_port
            await self._start(OperationsPort(self.health, self.metrics, host=host, port=port, tls=own))
        door = Door.of(self.settings, self.settings.http_port, self.metrics, tls)
        carriers = Door.of(self.settings, self.settings.receipts_http_port, self.metrics, tls)
        for worker in self.workers:
            context = await self._context(worker, runtime_metrics, door, carriers)
            await self._start(context.publisher, context.configuration)
            await context.clock.refresh()
            module = importlib.import_module(worker.module)
            await self._start(*await module.build(context))
        self._describe_others(door)
        names = {name for worker in self.workers for name in worker.doors}
        doors = [*([door] if "public" in names else []), *([carriers] if "carriers" in names else [])]
        await self._start(*doors)
        dsn = self.settings.postgres.get_secret_value()
        pool, publisher = self._pools[0], self._publishers[0]
        await self._start(Readiness(self.health, dsn=dsn, pool=pool, publisher=publisher, doors=doors))
        started.ok()

    def _describe_others(self, door: Door) -> None:
        """The public API is one, whichever process serves which part: each tells of all of it."""
        public = [worker for worker in WORKERS if "public" in worker.doors]
        if any(worker in self.workers for worker in public):
            for other in (worker for worker in public if worker not in self.workers):
                door.describe(*importlib.import_module(other.module).described())

    async def stop(self) -> None:
        """Not ready any more; then everything in reverse: doors, workers, publishers, pools."""
        self.health.draining()
        await stop_all(self._services, deadline_s=STOP_DEADLINE_S)
        self._services.clear()
        for pool in self._pools:
            await asyncio.wait_for(pool.close(), STOP_DEADLINE_S)

    async def run(self) -> None:
        """Start, wait for SIGTERM or SIGINT, stop. Raises Stopped if a service ended by itself."""
        told = asyncio.Event()
        signals: list[signal.Signals] = []

        def take(number: signal.Signals) -> None:
            signals.append(number)
            told.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, take, number)
        failure: list[BaseException] = []
        try:
            await self.start()
            _settle_memory()
            log.info("runtime.ready", workers=[worker.name for worker in self.workers])
            watch = Turning("watch", partial(self._watch, failure, told), pause_s=WATCH_PAUSE_S)
            await watch.start()
            await told.wait()
            await watch.stop()
            if signal.SIGTERM in signals:
                self.health.draining()
                await asyncio.sleep(self.settings.drain_notice_s)
        finally:
            await self.stop()
        if failure:
            raise Stopped(repr(failure[0])) from failure[0]

    @property
    def failed(self) -> BaseException | None:
        """The error of a service that ended by itself, if one did."""
        errors = (getattr(service, "failed", None) for service in self._services)
        return next((error for error in errors if error is not None), None)

    async def _watch(self, failure: list[BaseException], told: asyncio.Event) -> None:
        error = self.failed
        if error is not None:
            failure.append(error)
            told.set()

    async def _start(self, *services: Service) -> None:
        for service in services:
            await service.start()
            self._services.append(service)

    async def _context(self, worker: Worker, runtime_metrics: RuntimeMetrics, door: Door, carriers: Door) -> Context:
        settings = self.settings
        pool = await connect(settings.postgres.get_secret_value(), worker=role_owner(worker))
        self._pools.append(pool)
        keys = importlib.import_module(worker.module).KEYS
        keyring = Keyring.load(Path(settings.keyring), keys)
        cluster = cluster_of(settings)
        member = f"{worker.name}-{settings.ordinal}"
        observe = partial(runtime_metrics.publish_seconds.observe, stage=worker.name)
        publisher = Publisher(cluster, client_id=member, observe=observe)
        self._publishers.append(publisher)
        return Context(
            worker=worker.name,
            settings=settings,
            cluster=cluster,
            pool=pool,
            clock=DatabaseClock(pool),
            publisher=publisher,
            reader=partial(Reader, cluster, member=member, metrics=runtime_metrics),
            keyring=keyring,
            configuration=ConfigurationWatch(
                pool,
                keyring,
                with_api_keys="public" in worker.doors,
                check=self.health.check(f"{worker.name}.configuration", ready_within_s=CONFIGURATION_FRESH_S),
            ),
            health=self.health,
            metrics=self.metrics,
            runtime_metrics=runtime_metrics,
            door=door,
            carriers=carriers,
        )


def _show_readiness(health: Health, metrics: RuntimeMetrics) -> None:
    for state in health.readiness():
        metrics.ready.set(float(state.ok), check=state.check)


def _settle_memory() -> None:
    """What is loaded by now stays: the collector need not look through it again and again. Left as it is born with, it
    takes a sixth of a busy worker's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 20, 50)


def role_owner(worker: Worker) -> str:
    """Whose database role a worker acts under: its folder's, so judge acts as fraud."""
    return worker.module.split(".")[1]


def chosen(names: str) -> list[Worker]:
    """The workers that a list such as "intake,checks" names. Raises SettingsError naming the unknown one."""
    workers = []
    for name in names.split(","):
        if name.strip() not in BY_NAME:
            raise SettingsError(f"there is no worker {name.strip()!r}; there are {', '.join(BY_NAME)}")
        workers.append(BY_NAME[name.strip()])
    return workers


async def check_level(settings: RuntimeSettings) -> None:
    """Raises SettingsError if the database is behind this version's migrations, with the command that mends it."""
    found = await level(settings.postgres.get_secret_value())
    if found < expected_level():
        raise SettingsError(
            f"the database is at migration {found}, this version needs {expected_level()}: `watchword migrate`"
        )


def _leave_no_core() -> None:
    """Whatever this process dies of, its memory is not written to a disk: keys and codes are in it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(settings: RuntimeSettings, names: str) -> None:
    """Run workers until told to stop; the command line's `watchword run`. Raises SettingsError, KafkaError, OSError."""
    settings.need("postgres", "kafka", "keyring")
    _leave_no_core()
    process = Process(settings, chosen(names))

    async def main() -> None:
        await check_level(settings)
        try:
            await process.run()
        except KafkaError as error:
            raise SettingsError(f"Kafka at {settings.kafka} does not answer: {error!r}") from error

    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
