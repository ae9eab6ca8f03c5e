"""The kept connections of one account: messages go out over whichever has room, reports come in over all of them."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Final

import structlog

from watchword.dispatch.calling import CONNECT_TIMEOUT_S, Gate, Refused, Silence
from watchword.dispatch.connection import Connection
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.reconnecting import STABLE_AFTER_S, pause_s
from watchword.dispatch.reports import TakeReport
from watchword.dispatch.speaking import Call
from watchword.gateways.contract import Account, Message
from watchword.gateways.outcome import Outcome
from watchword.gateways.sessions import (
    Answered,
    Ended,
    Endpoint,
    Ready,
    Reported,
    SessionEvent,
    SessionGateway,
    Submission,
    Unanswered,
)

log = structlog.get_logger()

ROOM_WITHIN_S: Final = 2.0
ANSWER_GRACE_S: Final = 0.5  # the session gives up first; this is for a loop that was held up
CLOSE_WITHIN_S: Final = 8.0


@dataclass(slots=True)
class _Slot:
    """One of the account's connections, or the place where it should be. `sends` where its role carries messages;
    `away` between two attempts to connect."""

    role: str
    sends: bool
    connection: Connection | None = None
    ready: bool = False
    away: bool = False
    refusal: Outcome | None = None

    @property
    def takes(self) -> bool:
        """Whether messages go over it now, if not for want of room: neither side is leaving."""
        return self.ready and self.connection is not None and self.connection.takes


class Line:
    """A `Speaker` over kept connections, which are made at once and again whenever they end. Made while the event
    loop runs."""

    def __init__(
        self,
        account: Account,
        gateway: SessionGateway,
        take_report: TakeReport,
        metrics: DispatchMetrics,
        draw: Callable[[], float],
    ) -> None:
        self._account = account
        self._gateway = gateway
        self._take_report = take_report
        self._metrics = metrics
        self._draw = draw
        self._tickets = count(1)
        self._open: dict[int, asyncio.Future[Outcome | Silence]] = {}
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._came = count(1)
        self._closing = asyncio.Event()
        self._slots: list[_Slot] = []
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            endpoint = gateway.endpoint(account)
        except ValueError as error:  # every call says the same; here it is told once
            log.error("dispatch.account_unusable", account=account.id, error=str(error))
            return
        self._slots = [_Slot(role, sends=role not in endpoint.only_receive) for role in endpoint.roles]
        self._tasks = {asyncio.create_task(self._hold(slot, endpoint), name="dispatch-line") for slot in self._slots}

    @property
    def ready(self) -> bool:
        """Whether a connection that takes messages is there, or none is being made."""
        return any(slot.takes for slot in self._slots) or self._all_away

    def message(self, message: Message) -> Call[Outcome]:
        """The call that sends `message`. Raises ValueError."""
        over_s = message.at.timestamp() + message.life_s
        return partial(self._send, self._gateway.encode(message, self._account), over_s)

    def question(self, client_ref: str) -> None:
        """Nobody can be asked over these."""
        return

    def inquiry(self, client_ref: str, provider_id: str) -> None:
        """Nor about what was taken."""
        return

    async def close(self) -> None:
        """Take nothing more, let what is open be answered, say goodbye."""
        self._closing.set()
        for slot in self._slots:
            if slot.connection is not None:
                slot.connection.leave()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self._wake(len(self._waiting))

    async def _send(self, submission: Submission, over_s: float, gate: Gate, timeout_s: float) -> Outcome | Silence:
        connection = await self._with_room(len(submission.units), over_s)
        if not isinstance(connection, Connection):
            return connection
        try:
            gate.pass_once()
        except Refused:
            self._wake(1)
            return Silence(False, gate.word)
        ticket = next(self._tickets)
        answer: asyncio.Future[Outcome | Silence] = asyncio.get_running_loop().create_future()
        self._open[ticket] = answer
        connection.submit(ticket, submission)
        try:
            async with asyncio.timeout(timeout_s + ANSWER_GRACE_S):
                return await answer
        except TimeoutError:
            return Silence(True, "no_answer")
        finally:
            del self._open[ticket]

    async def _with_room(self, units: int, over_s: float) -> Connection | Outcome | Silence:
        """A connection that takes so many units, after a short wait, in which the code that is over soonest (`over_s`)
        comes first; what to answer where there is none."""
        until_s = asyncio.get_running_loop().time() + ROOM_WITHIN_S
        while (found := self._roomiest(units)) is None:
            if self._closing.is_set() or self._all_away:
                refusals = [slot.refusal for slot in self._slots if slot.sends and slot.refusal is not None]
                return refusals[0] if refusals else Silence(False, "not_connected")
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (over_s, next(self._came), turn))
            try:
                async with asyncio.timeout_at(until_s):
                    await turn
            except TimeoutError:
                if turn.done() and not turn.cancelled():
                    self._wake(1)
                return Silence(False, "no_room")
        return found

    @property
    def _all_away(self) -> bool:
        """Whether no connection that could carry a message is there or being made. One that only receives says nothing
        of that: over it no message was ever taken, nor refused."""
        return all(slot.away for slot in self._slots if slot.sends)

    def _roomiest(self, units: int) -> Connection | None:
        open_ = [slot.connection for slot in self._slots if slot.connection is not None and slot.takes]
        found = max(open_, key=lambda connection: connection.room, default=None)
        return found if found is not None and found.room >= units else None

    def _wake(self, turns: int) -> None:
        while turns > 0 and self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                turns -= 1

    async def _hold(self, slot: _Slot, endpoint: Endpoint) -> None:
        """Keep one connection for as long as the account is in use."""
        failures = 0
        closing = asyncio.create_task(self._closing.wait())
        try:
            while not self._closing.is_set():
                slot.away, slot.refusal = False, None
                started_s = time.monotonic()
                ended = await self._converse(slot, endpoint)
                slot.connection, slot.ready, slot.away, slot.refusal = None, False, True, ended.refusal
                self._metrics.connections_ended.add(account=self._account.id, reason=ended.word)
                self._wake(len(self._waiting))
                if self._closing.is_set():
                    break
                failures = 1 if time.monotonic() - started_s > STABLE_AFTER_S else failures + 1
                wait_s = pause_s(failures, refused=ended.refusal is not None, draw=self._draw())
                log.warning("dispatch.connection_ended", account=self._account.id, reason=ended.word, wait_s=wait_s)
                await asyncio.wait({closing}, timeout=wait_s)
        finally:
            closing.cancel()

    async def _converse(self, slot: _Slot, endpoint: Endpoint) -> Ended:
        """One connection from its making to its end."""
        session = self._gateway.session(self._account, slot.role)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                trust = await asyncio.to_thread(_trust, endpoint) if endpoint.tls else None
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(session, partial(self._heard, slot)),
                    endpoint.host,
                    endpoint.port,
                    ssl=trust,
                    server_hostname=(endpoint.tls_server_name or endpoint.host) if endpoint.tls else None,
                )
        except (OSError, TimeoutError, ValueError) as error:  # a name that cannot be one raises ValueError
            log.info("dispatch.connect_failed", account=self._account.id, error=repr(error))
            return Ended("connect_failed")
        slot.connection = connection
        if self._closing.is_set():
            connection.leave()
        return await connection.ended

    def _heard(self, slot: _Slot, connection: Connection, event: SessionEvent) -> None:
        match event:
            case Answered(ticket, outcome):
                self._answer(ticket, outcome)
            case Unanswered(ticket, word):
                self._answer(ticket, Silence(True, word))
            case Reported(number, report):
                self._take_report(self._account, report, partial(connection.settle, number))
            case Ready():
                slot.ready = True
                self._wake(len(self._waiting))
            case Ended():
                slot.ready = False
        self._metrics.connections.set(sum(one.ready for one in self._slots), account=self._account.id)

    def _answer(self, ticket: int, answer: Outcome | Silence) -> None:
        waiting = self._open.get(ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        self._wake(1)


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    """Whom to believe: the system's roots, or the account's. Raises OSError where they cannot be read."""
    return ssl.create_default_context(cafile=endpoint.tls_ca or None)
