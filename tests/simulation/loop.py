"""An event loop on which time is a number and chance is drawn: the same seed runs the same way, in no time at all.

Everything that runs belongs to a process, told by a context variable. Within a process callbacks run in the order in
which they were asked for, as asyncio promises; which process goes next is drawn. A process may be frozen, so that its
callbacks wait while time goes on, or killed, so that none of them ever runs again.
"""

import asyncio
import contextvars
import heapq
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

STEPS_MAX = 400_000
_TASKS_KEPT_MIN = 32
_UNWINDINGS_MAX = 50


class Owner:
    """One process as the loop sees it. The world itself (the network, the servers, the users) is one too. `dies_in` is
    after how many uses of a port it dies, None for never; `buried` hears of its death; `leaving` is that it was told to
    stop."""

    def __init__(self, name: str, buried: Callable[["Owner"], None] = lambda owner: None) -> None:
        self.name = name
        self.dies_in: int | None = None
        self.buried = buried
        self.alive = True
        self.frozen = False
        self.leaving = False
        self.ready: deque[Due] = deque()
        self._tasks: list[asyncio.Task[Any]] = []
        self._pruned_at = _TASKS_KEPT_MIN

    def __repr__(self) -> str:
        return f"<Owner {self.name}>"

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those that are not done, in the order in which they began."""
        return [task for task in self._tasks if not task.done()]

    def began(self, task: asyncio.Task[Any]) -> None:
        """A task of this process. Those that are done are forgotten now and then."""
        self._tasks.append(task)
        if len(self._tasks) >= self._pruned_at:
            self._tasks = self.tasks
            self._pruned_at = max(2 * len(self._tasks), _TASKS_KEPT_MIN)


class Due:
    """A callback of a process, to be run soon or at a time: what asyncio calls a handle."""

    __slots__ = ("args", "callback", "context", "live", "owner")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: contextvars.Context, owner: Owner
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.owner = owner
        self.live = True

    def cancel(self) -> None:
        """It is passed over when its turn comes."""
        self.live = False

    def cancelled(self) -> bool:
        """Whether it will be passed over."""
        return not self.live


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
        self._timers: list[tuple[float, int, Due]] = []
        self._count = 0
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
        self._owner(context).began(task)
        return task

    def call_soon(  # type: ignore[override]  # whatever the callback takes
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Due:
        """Run `callback` after what its process has to do already."""
        owner = self._owner(context)
        due = Due(callback, args, contextvars.copy_context() if context is None else context, owner)
        if not owner.ready:
            self._waiting.append(owner)
        owner.ready.append(due)
        return due

    def call_later(  # type: ignore[override]  # the same
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Due:
        """Run `callback` once `delay` seconds have passed."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the same
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Due:
        """Run `callback` at `when`."""
        owner = self._owner(context)
        due = Due(callback, args, contextvars.copy_context() if context is None else context, owner)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, due))
        return due

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody heard of is a finding, unless its process is dead."""
        error = context.get("exception")
        if OWNER.get().alive and not isinstance(error, asyncio.CancelledError):
            self.problems.append(f"{context.get('message')}: {error!r}")

    # What a history asks of it --------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, with everything that happens in them."""
        self._run(until=self._now_s + seconds, done=lambda: False)

    def next_timer_s(self, owner: Owner | None = None) -> float:
        """In how many seconds the next timer comes, of any process or of one; infinite where there is none."""
        soonest = min(
            (when for when, _, due in self._timers if due.live and owner in (None, due.owner)), default=math.inf
        )
        return soonest - self._now_s

    def skip(self, seconds: float) -> None:
        """`seconds` have passed in which nobody's turn came, as when the whole machine slept: a timer that came many
        times meanwhile comes once."""
        self._now_s += seconds

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
            left = owner.tasks
            if not left:
                break
            for task in left:
                task.cancel()
            while owner.ready:
                self._step(owner)
        else:
            raise Runaway(f"{owner} does not end: {left}")

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
        owner = OWNER.get() if context is None else context.get(OWNER, WORLD)
        return self.world if owner is WORLD else owner

    @contextmanager
    def _turning(self) -> Iterator[None]:
        """This loop runs, and every clock in this thread is its own."""
        self._running = True
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        ours, monotonic, gettime = threading.get_ident(), time.monotonic, time.clock_gettime
        time.monotonic = lambda: self.time() if threading.get_ident() == ours else monotonic()
        time.clock_gettime = lambda clock: self.time() if threading.get_ident() == ours else gettime(clock)
        try:
            yield
        finally:
            time.monotonic, time.clock_gettime = monotonic, gettime
            asyncio._set_running_loop(outer)
            self._running = False

    def _run(self, *, until: float, done: Callable[[], bool]) -> None:
        with self._turning():
            steps, waiting, draw = 0, self._waiting, self._draw.random
            while not done():
                if self._doomed:
                    self._bury()
                turning = [each for each in waiting if not each.frozen] if self._frozen else waiting
                if turning:
                    count = len(turning)
                    self._step(turning[int(draw() * count)] if count > 1 else turning[0])
                    steps += 1
                    if steps > STEPS_MAX:
                        raise Runaway(f"{steps} steps at {self._now_s:.3f} s")
                elif not self._pass_time(until):
                    break

    def _step(self, owner: Owner) -> None:
        due = owner.ready.popleft()
        if not owner.ready:
            self._waiting.remove(owner)
        if not due.live:
            return
        try:
            due.context.run(due.callback, *due.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio does: the loop goes on, and the history tells of it
            self.call_exception_handler({"message": f"{due.callback!r} raised", "exception": error})

    def _pass_time(self, until: float) -> bool:
        """Go to the next timer before `until`; False where there is none and it is `until`."""
        timers = self._timers
        while timers and not timers[0][2].live:
            heapq.heappop(timers)
        if not timers or timers[0][0] > until:
            self._now_s = until
            return False
        self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            due = heapq.heappop(timers)[2]
            if due.live and due.owner.alive:
                if not due.owner.ready:
                    self._waiting.append(due.owner)
                due.owner.ready.append(due)
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
