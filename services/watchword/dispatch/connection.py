"""One connection that is kept: a session of the gateway's on a socket, with the clock it lacks."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, cast

from watchword.gateways.sessions import Ended, Session, SessionEvent, Submission

TICK_S: Final = 0.1
CLOSE_WITHIN_S: Final = 1.0


class Connection(asyncio.Protocol):
    """Feeds a session what comes and writes what it wants written. `tell` hears every event, the last is `Ended`."""

    def __init__(self, session: Session, tell: Callable[["Connection", SessionEvent], None]) -> None:
        """Made while the event loop runs."""
        self._session = session
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._flushing = False
        self.ended: asyncio.Future[Ended] = self._loop.create_future()

    @property
    def takes(self) -> bool:
        """Whether messages are taken, as soon as there is room."""
        return self._session.takes

    @property
    def room(self) -> int:
        """How many units may be submitted now; none while the carrier does not read."""
        return 0 if self._paused else self._session.room

    def submit(self, ticket: int, submission: Submission) -> None:
        """Write a submission that fits into `room`."""
        self._session.submit(ticket, submission, time.monotonic())
        self._flush_soon()

    def settle(self, number: int, *, kept: bool) -> None:
        """Answer a report."""
        self._session.settle(number, kept=kept)
        self._flush_soon()

    def leave(self) -> None:
        """Say goodbye once nothing is open; within bounds."""
        self._session.leave(time.monotonic())
        self._flush()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.Transport, transport)
        self._session.open(time.monotonic())
        self._flush()
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._carry_out(self._session.receive(data, time.monotonic()))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._transport = None
        self._carry_out(self._session.lose("connection_lost"))

    def pause_writing(self) -> None:
        """The carrier reads slower than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False

    def _tick(self) -> None:
        if not self.ended.done():
            self._timer = self._loop.call_later(TICK_S, self._tick)
            self._carry_out(self._session.elapse(time.monotonic()))

    def _carry_out(self, events: list[SessionEvent]) -> None:
        self._flush()
        for event in events:
            self._tell(self, event)
            if isinstance(event, Ended):
                self._close(event)

    def _flush_soon(self) -> None:
        """What is written in one turn of the loop goes out together."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        written = self._session.outgoing()
        if written and self._transport is not None and not self._transport.is_closing():
            self._transport.write(written)

    def _close(self, event: Ended) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(event)
        if self._transport is not None:
            self._transport.close()  # what was written goes out first, unless nobody reads it
            self._loop.call_later(CLOSE_WITHIN_S, self._transport.abort)
