"""An event loop on which time is a number and chance is drawn: the same seed runs the same way, in no time at all.

Everything that runs belongs to a process, told by a context variable. Within a process callbacks run in the order in
which they were asked for, as asyncio promises; which process goes next is drawn. A process may be frozen, so that its
callbacks wait while time goes on, or killed, so that none of them ever runs again.
"""

import asyncio
import contextvars
import heapq
import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

STEPS_MAX = 400_000
_UNWINDINGS_MAX = 50


class Owner:
    """One process as the loop sees it. The world itself (the network, the servers, the users) is one too. `dies_in` is
    after how many uses of a port it dies, None for never; `buried` hears of its death."""

    def __init__(self, name: str, buried: Callable[["Owner"], None] = lambda owner: None) -> None:
        self.name = name
        self.dies_in: int | None = None
        self.buried = buried
        self.alive = True
        self.frozen = False
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Owner {self.name}>"


WORLD = Owner("world")
OWNER: contextvars.ContextVar[Owner] = contextvars.ContextVar("owner", default=WORLD)


def use_port(owner: Owner) -> None:
    """Every port asks this whenever it is used: the dead do nothing, and here is where processes die. Raises
    CancelledError."""
    if owner.alive and owner.dies_in is not None:
        owner.dies_in -= 1
        if owner.dies_in <= 0:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.kill(owner)
    if not owner.alive:
        raise asyncio.CancelledError


class Runaway(AssertionError):
    """Something goes round without time passing."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs what is ready; when nothing is, goes to the next timer at once."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._now_s = 0.0
        self.world = Owner("world")
        self._waiting: list[Owner] = []
        self._timers: list[tuple[float, int, Owner, asyncio.TimerHandle]] = []
        self._count = itertools.count()
        self._running = False
        self._doomed: list[Owner] = []
        self._frozen: set[Owner] = set()
        self.problems: list[str] = []

    # What asyncio asks of a loop ------------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds since the beginning of the history."""
        return self._now_s

    def get_debug(self) -> bool:
        """Never: debugging would read the real clock."""
        return False

    def is_running(self) -> bool:
        """Whether a history is being run at this moment."""
        return self._running

    def is_closed(self) -> bool:
        """A history that is over is let go of, not closed."""
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> "asyncio.Task[T]":
        """A task of whichever process the context belongs to."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        owner = self._owner(context)
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
        return task

    def call_soon(  # type: ignore[override]  # whatever the callback takes
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` after what its process has to do already."""
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._append(self._owner(context), handle)
        return handle

    def call_later(  # type: ignore[override]  # the same
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` once `delay` seconds have passed."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the same
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Run `callback` at `when`."""
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._count), self._owner(context), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody heard of is a finding, unless its process is dead."""
        error = context.get("exception")
        if OWNER.get().alive and not isinstance(error, asyncio.CancelledError):
            self.problems.append(f"{context.get('message')}: {error!r}")

    # What a history asks of it --------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, with everything that happens in them."""
        self._run(until=self._now_s + seconds, done=lambda: False)

    def finish(self, task: "asyncio.Future[T]", *, within_s: float) -> T:
        """Go on until `task` is done; answers its result. Raises TimeoutError, or what the task raised."""
        self._run(until=self._now_s + within_s, done=task.done)
        if not task.done():
            raise TimeoutError(f"not done within {within_s:g} s: {task!r}")
        return task.result()

    def spawn(self, owner: Owner, coro: Coroutine[Any, Any, T], *, name: str = "") -> "asyncio.Task[T]":
        """A task of `owner`, whoever asks for it."""
        context = contextvars.Context()
        context.run(OWNER.set, owner)
        return self.create_task(coro, name=name or None, context=context)

    def kill(self, owner: Owner) -> None:
        """`owner` ends here, even if it is the one that runs: no port does anything for it any more."""
        self.thaw(owner)
        owner.alive, owner.dies_in = False, None
        self._doomed.append(owner)
        owner.buried(owner)
        if not self._running:
            with self._turning():
                self._bury()

    def _bury(self) -> None:
        for owner in self._doomed:
            self._unwind(owner)
        self._doomed.clear()

    def _unwind(self, owner: Owner) -> None:
        """What it was in the middle of is ended with its hands tied: every port of a dead process answers by
        cancelling, so that nothing of it reaches the world."""
        for _ in range(_UNWINDINGS_MAX):
            left = [task for task in owner.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            while owner.ready:
                self._step(owner)
        else:
            raise Runaway(f"{owner} does not end: {left}")
        if owner in self._waiting:
            self._waiting.remove(owner)

    def at_once(self, deed: Callable[[], T]) -> T:
        """Do something in the world, as if a callback of it had come."""
        if self._running:
            return contextvars.Context().run(deed)
        with self._turning():
            return contextvars.Context().run(deed)

    def freeze(self, owner: Owner) -> None:
        """`owner` stands still, as after SIGSTOP."""
        owner.frozen = True
        self._frozen.add(owner)

    def thaw(self, owner: Owner) -> None:
        """`owner` goes on, knowing nothing of the time that passed but what its clock says."""
        owner.frozen = False
        self._frozen.discard(owner)

    def _owner(self, context: contextvars.Context | None) -> Owner:
        owner = (context if context is not None else contextvars.copy_context()).get(OWNER, WORLD)
        return self.world if owner is WORLD else owner

    def _append(self, owner: Owner, handle: asyncio.Handle) -> None:
        if not owner.ready and owner not in self._waiting:
            self._waiting.append(owner)
        owner.ready.append(handle)

    @contextmanager
    def _turning(self) -> Iterator[None]:
        """This loop runs, and every clock in this thread is its own."""
        self._running = True
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        ours, monotonic = threading.get_ident(), time.monotonic
        time.monotonic = lambda: self.time() if threading.get_ident() == ours else monotonic()
        try:
            yield
        finally:
            time.monotonic = monotonic
            asyncio._set_running_loop(outer)
            self._running = False

    def _run(self, *, until: float, done: Callable[[], bool]) -> None:
        with self._turning():
            steps = 0
            while not done():
                if self._doomed:
                    self._bury()
                turning = [each for each in self._waiting if not each.frozen] if self._frozen else self._waiting
                if turning:
                    count = len(turning)
                    self._step(turning[int(self._draw.random() * count)] if count > 1 else turning[0])
                    steps += 1
                    if steps > STEPS_MAX:
                        raise Runaway(f"{steps} steps at {self._now_s:.3f} s")
                elif not self._pass_time(until):
                    break

    def _step(self, owner: Owner) -> None:
        handle = owner.ready.popleft()
        if not owner.ready and owner in self._waiting:
            self._waiting.remove(owner)
        if not handle.cancelled():
            handle._run()

    def _pass_time(self, until: float) -> bool:
        """Go to the next timer before `until`; False where there is none and it is `until`."""
        while self._timers and self._timers[0][3].cancelled():
            heapq.heappop(self._timers)
        if not self._timers or self._timers[0][0] > until:
            self._now_s = until
            return False
        self._now_s = max(self._now_s, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now_s:
            _, _, owner, handle = heapq.heappop(self._timers)
            if owner.alive and not handle.cancelled():
                self._append(owner, handle)
        return True


async def go_by(seconds: float) -> None:
    """`seconds` go by. On a virtual loop they take no time."""
    await asyncio.sleep(seconds)


def virtual_loop(draw: random.Random) -> VirtualLoop:
    """A loop on which no time has passed. Of what asyncio asks of one it has what no socket and no process needs."""
    return VirtualLoop(draw)  # type: ignore[abstract]  # sockets, signals, subprocesses


@contextmanager
def in_world() -> Iterator[None]:
    """What is begun here belongs to the world, not to the process that asked for it: an SMS that is on its way arrives
    whatever becomes of its sender."""
    token = OWNER.set(WORLD)
    try:
        yield
    finally:
        OWNER.reset(token)
