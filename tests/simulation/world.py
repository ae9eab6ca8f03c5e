"""One history: all processes on simulated servers, the users and carriers around them, and whatever goes wrong.

What is done to it from outside is one method a deed (`start`, `check`, `kill`, …). The same seed and the same deeds are
the same history. `log` tells it line by line.
"""

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import asyncpg
import structlog

from tests.simulation.carriers import Carriers
from tests.simulation.log import Broker, Record
from tests.simulation.loop import OWNER, Owner, virtual_loop
from tests.simulation.processes import BUILDERS, Ports, Running
from tests.simulation.statements import MODELLED, TABLES
from tests.simulation.tables import IDLE_IN_TRANSACTION_S, Database, Open, Row, Rows
from watchword.gateways.catalog import ALL
from watchword.gateways.contract import Account, Callback, Gateway
from watchword.kernel.instant import to_us
from watchword.runtime.stop import stop_all

T = TypeVar("T")

PARTITIONS = 2
PROCESSES = (
    ("front", 0), ("front", 1), ("fraud", 0), ("codes", 0), ("codes", 1), ("dispatch", 0), ("dispatch", 1),
    ("receipts", 0), ("timers", 0),
)  # fmt: skip
START_WITHIN_S = 30.0
BOOT_S = 1.0
RESTART_MAX_S = 3.0
STOP_WITHIN_S = 25.0
CARRIER_TRIES_MAX = 8
_LOG_LINES_MAX = 4_000


class Unanswered(Exception):
    """The process that was asked died, or nobody is there to ask."""


@dataclass(eq=False)
class Process:
    """A place where a worker runs, one owner after another. `running` is None while it is down."""

    name: str
    ordinal: int
    owner: Owner
    running: Running | None = None

    @property
    def title(self) -> str:
        """How it is called in the log."""
        return f"{self.name}-{self.ordinal}"


class World:
    """Everything. Use it as a context: within it, logging is the history's own."""

    def __init__(self, seed: int, *, processes: Iterable[tuple[str, int]] = PROCESSES, verbose: bool = False) -> None:
        self.seed = seed
        self.draw = self.drawn(seed, "deeds")
        self.log: list[str] = []
        self.loop = virtual_loop(self.drawn(seed, "turns"))
        self.database = Database(self.drawn(seed, "database"), MODELLED, TABLES, self.loop.time)
        self.broker = Broker(self.drawn(seed, "broker"), partitions=PARTITIONS, now_ms=self._now_ms)
        self.carriers = Carriers(self.drawn(seed, "carriers"), self.database.now, self._report)
        self.failures: list[tuple[str, BaseException]] = []
        self.jumps: list[tuple[datetime, timedelta]] = []
        self._fates = self.drawn(seed, "fates")
        self._ports = Ports(self.database, self.broker, self.carriers)
        self._processes = [Process(name, ordinal, Owner(name)) for name, ordinal in processes]
        self._verbose = verbose
        self._over = False
        self._logging: dict[str, Any] = {}

    @staticmethod
    def drawn(seed: int, whose: str) -> random.Random:
        """The chance of one part of a history. Each has its own, so that a deed more here changes nothing there."""
        return random.Random(f"{seed}/{whose}")

    def __enter__(self) -> Self:
        self._logging = structlog.get_config()
        structlog.configure(processors=[self._hear], logger_factory=structlog.ReturnLoggerFactory())
        for process in self._processes:
            self._boot(process)
        self.loop.advance(BOOT_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over = True
        for process in self._processes:
            if process.owner.alive:
                self.loop.kill(process.owner)
        self.loop.kill(self.loop.world)
        structlog.configure(**self._logging)

    # What may be asked ----------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Seconds since the beginning."""
        return self.loop.time()

    def now(self) -> datetime:
        """The time by the database."""
        return self.database.now()

    def named(self, name: str) -> list[Process]:
        """The places where one worker runs."""
        return [each for each in self._processes if each.name == name]

    @property
    def all_running(self) -> bool:
        """Whether every process is up."""
        return all(each.running is not None for each in self._processes)

    def process(self, index: int) -> Process:
        """Any of them, by any number."""
        return self._processes[index % len(self._processes)]

    def tell(self, line: str) -> None:
        """A line of the history."""
        if len(self.log) < _LOG_LINES_MAX:
            self.log.append(f"{self.now_s:9.3f}  {line}")

    async def ask(self, process: Process, question: Callable[[Running], Awaitable[T]]) -> T:
        """Have a process answer, as over HTTP: whoever asks is not taken down with it. Raises Unanswered, or what it
        answers with."""
        running, owner = process.running, process.owner
        if running is None or not owner.alive or owner.leaving:
            raise Unanswered

        async def answering() -> T:
            return await question(running)

        answer: asyncio.Future[T] = self.loop.create_future()
        task = self.loop.spawn(owner, answering())

        def heard(done: "asyncio.Task[T]") -> None:
            if done.cancelled():
                answer.set_exception(Unanswered())
            elif (error := done.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result())

        task.add_done_callback(heard, context=_outside())
        return await answer

    # Deeds ----------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass. A process one of whose services ended by itself is started again, as its supervisor would."""
        self.loop.advance(seconds)
        for process in self._processes:
            error = process.running.failed if process.running is not None else None
            if error is not None:
                self.failures.append((process.title, error))
                self.kill(process)

    def kill(self, process: Process) -> None:
        """As kill -9. It is started again after a while."""
        if process.owner.alive:
            self.loop.kill(process.owner)

    def kill_soon(self, process: Process, uses: int) -> None:
        """It dies at the so-manieth use of a port from now."""
        self.tell(f"{process.title} will die after {uses} more steps")
        process.owner.dies_in = max(uses, 1)

    def freeze(self, process: Process, seconds: float) -> None:
        """As SIGSTOP, and SIGCONT after `seconds`."""
        owner = process.owner
        if not owner.alive or owner.frozen:
            return
        self.tell(f"{process.title} is frozen for {seconds:g} s")
        self.loop.freeze(owner)
        self._in_loop(lambda: self.broker.fell_silent(owner))
        self._later(IDLE_IN_TRANSACTION_S, self._lose_patience, owner)
        self._later(seconds, self._thaw, process, owner)

    def restart(self, process: Process) -> None:
        """As SIGTERM: it finishes, leaves, and is started again."""
        running, owner = process.running, process.owner
        if running is None or owner.leaving or owner.frozen:
            return
        self.tell(f"{process.title} is told to stop")
        owner.leaving = True
        self.broker.hurry(owner)

        async def stopping() -> None:
            await stop_all(running.services, deadline_s=STOP_WITHIN_S)
            self.tell(f"{process.title} stopped")
            self.loop.kill(owner)

        self.loop.spawn(owner, stopping())

    def rebalance(self, group: str) -> None:
        """Partitions are dealt anew, as when somebody else came and went."""
        known = self.broker.groups.get(group)
        if known is not None:
            self.tell(f"group {group} deals its partitions anew")
            self._in_loop(lambda: self.broker.rebalance(known))

    def trouble_database(self, share: float, seconds: float) -> None:
        """For a while connections to Postgres break, so often."""
        self.tell(f"{share:.0%} of the ways to Postgres break for {seconds:g} s")
        self.database.trouble = share
        self._later(seconds, self._heal_database)

    def trouble_broker(self, share: float, seconds: float) -> None:
        """For a while Kafka answers not, so often."""
        self.tell(f"{share:.0%} of the answers of Kafka are lost for {seconds:g} s")
        self.broker.trouble = share
        self._later(seconds, self._heal_broker)

    def take_away_database(self, seconds: float) -> None:
        """Postgres is away."""
        self.tell(f"Postgres is away for {seconds:g} s")
        self.database.away_until_s = self.now_s + seconds

    def take_away_broker(self, seconds: float) -> None:
        """Kafka is away."""
        self.tell(f"Kafka is away for {seconds:g} s")
        self.broker.away_until_s = self.now_s + seconds

    def set_mood(self, account: str, mood: str) -> None:
        """How a carrier fares from now on."""
        self.tell(f"carrier {account} is {mood}")
        self.carriers.moods[account] = mood

    def jump(self, seconds: float) -> None:
        """The clock of the database is set."""
        self.tell(f"the clock of the database jumps by {seconds:+g} s")
        by = timedelta(seconds=seconds)
        self.jumps.append((self.now(), by))
        self.database.clock_offset += by

    def repeat_last(self, topic: str) -> None:
        """The newest record of a topic comes again."""
        place = next(place for place in self.broker.logs if place.topic == topic)
        record = self.broker.logs[place][-1]
        self._in_loop(lambda: self.broker.append(place, record.key, record.value, record.headers))

    def until(self, happened: Callable[[], bool], *, within_s: float = 20.0) -> None:
        """Let time pass, a little at a time, until something has happened."""
        end_s = self.now_s + within_s
        while not happened():
            assert self.now_s < end_s, "it did not happen"
            self.advance(0.005)

    def freeze_at(self, sql: str, seconds: float) -> None:
        """Whoever first comes to this statement is frozen at the next moment at which it waits for anything."""
        self.database.whenever(sql, lambda transaction: self.freeze(self._place_of(transaction.owner), seconds))

    def freeze_after(self, sql: str, seconds: float) -> None:
        """Whoever first commits this statement is frozen before it hears of it."""

        def committed(owner: Owner) -> None:
            self.database.stalled = owner
            self.freeze(self._place_of(owner), seconds)

        def done(transaction: Open) -> None:
            self.database.after_commit[transaction.number] = lambda: committed(transaction.owner)

        self.database.whenever(sql, done)

    def refuse(self, sql: str, seconds: float) -> None:
        """For a while the server cannot do this statement."""
        statement = self.database.statements[sql]

        def refusing(rows: Rows, *arguments: Any) -> list[Row]:
            raise asyncpg.CannotConnectNowError("not now")

        self.database.statements[sql] = refusing
        self._later(seconds, self.database.statements.__setitem__, sql, statement)

    def _place_of(self, owner: Owner) -> Process:
        return next(each for each in self._processes if each.owner is owner)

    def repeat_record(self, number: int) -> None:
        """Some record comes again at the end of its partition, as from a producer that thought it lost."""
        records = [record for log in self.broker.logs.values() for record in log]
        if records:
            record: Record = records[number % len(records)]
            self.tell(f"{record.topic}/{record.partition}/{record.offset} comes again")
            place = self.broker.partition_of(record.topic, record.key)
            self._in_loop(lambda: self.broker.append(place, record.key, record.value, record.headers))

    def heal(self) -> None:
        """Nothing is wrong any more, from now on."""
        self.tell("everything is well again")
        self._heal_database()
        self._heal_broker()
        self.database.away_until_s = self.broker.away_until_s = 0.0
        self.carriers.moods.clear()
        for process in self._processes:
            process.owner.dies_in = None
            if process.owner.frozen:
                self._thaw(process, process.owner)

    # Within ---------------------------------------------------------------------------------------------------------

    def _boot(self, process: Process) -> None:
        owner = process.owner = Owner(process.title, self._buried)
        process.running = None

        async def booting() -> None:
            running: Running = await BUILDERS[process.name](self._ports, process.ordinal)
            for service in running.services:
                async with asyncio.timeout(START_WITHIN_S):
                    await service.start()
            process.running = running

        def booted(task: "asyncio.Task[None]") -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self.tell(f"{process.title} cannot start: {error!r}")
                self.loop.kill(owner)

        self.loop.spawn(owner, booting()).add_done_callback(booted)

    def _buried(self, owner: Owner) -> None:
        process = next((each for each in self._processes if each.owner is owner), None)
        if process is None or self._over:
            return
        self.tell(f"{process.title} is dead")
        process.running = None
        self._in_loop(lambda: self.database.end_all_of(owner))
        self._in_loop(lambda: self.broker.fell_silent(owner))
        self._later(0.1 + self._fates.random() * RESTART_MAX_S, self._boot, process)

    def _thaw(self, process: Process, owner: Owner) -> None:
        if owner.alive and owner.frozen:
            self.tell(f"{process.title} goes on")
            self.loop.thaw(owner)
            self._in_loop(lambda: self.broker.is_back(owner))

    def _lose_patience(self, owner: Owner) -> None:
        if owner.frozen:
            self.database.end_all_of(owner)

    def _heal_database(self) -> None:
        self.database.trouble = 0.0

    def _heal_broker(self) -> None:
        self.broker.trouble = 0.0

    def _report(self, account: Account, callback: Callback, tries: int = 1) -> None:
        """A carrier calls back, and again if it is not thanked."""

        async def reporting() -> None:
            first = cast(Gateway, ALL[account.gateway]).receipts(callback, account)[0]

            async def knocking(running: Running) -> None:
                assert running.reports is not None
                await running.reports.keep(callback, account, first, deadline_s=10.0)

            try:
                await self.ask(self.named("receipts")[0], knocking)
            except Exception:  # noqa: BLE001 - whatever it was, a carrier only sees that it was not thanked
                if tries < CARRIER_TRIES_MAX:
                    self._later(2.0 * tries, self._report, account, callback, tries + 1)

        self.loop.spawn(self.loop.world, reporting())

    def _later(self, seconds: float, callback: Callable[..., Any], *arguments: Any) -> None:
        self.loop.call_later(seconds, callback, *arguments, context=_outside())

    def _in_loop(self, deed: Callable[[], T]) -> T:
        return self.loop.at_once(deed)

    def _now_ms(self) -> int:
        return to_us(self.database.now()) // 1_000

    def _hear(self, logger: Any, method: str, record: MutableMapping[str, Any]) -> Any:
        if self._verbose:
            words = " ".join(f"{name}={value}" for name, value in record.items() if name != "event")
            self.tell(f"    [{OWNER.get().name}] {record['event']} {words}")
        raise structlog.DropEvent


def _outside() -> contextvars.Context:
    """Where nobody's process is."""
    return contextvars.Context()
