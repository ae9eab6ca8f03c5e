"""Whether what was accepted leaves again, or more is accepted than can be done."""

from collections import deque
from itertools import count
from uuid import UUID

from watchword.intake.progress import Progress

WAIT_MAX_S = 5.0

_ids = count(1)


class Workers:
    """What lies behind intake: a line in which `per_s` are tried, in order. Somebody looks twice a second."""

    def __init__(self, *, per_s: float) -> None:
        self.progress = Progress()
        self.per_s = per_s
        self.now_s = 0.0
        self.refused = 0
        self.waits_s: list[float] = []
        self._line: deque[tuple[UUID, float]] = deque()
        self._tried: set[UUID] = set()
        self._may_try = 0.0

    def asked(self, *, per_s: float, seconds: float) -> None:
        """Requests at an even pace."""
        for _ in range(int(seconds * per_s)):
            self._ask()
            self._pass_time(1 / per_s)

    def asked_at_once(self, number: int) -> None:
        for _ in range(number):
            self._ask()

    def _ask(self) -> None:
        if self.progress.wait_s(self.now_s) > WAIT_MAX_S:
            self.refused += 1
            return
        identity = UUID(int=next(_ids))
        self.progress.accepted(lambda: identity, self.now_s)
        self._line.append((identity, self.now_s))

    def _pass_time(self, seconds: float) -> None:
        looks = int((self.now_s + seconds) * 2) > int(self.now_s * 2)
        self.now_s += seconds
        self._may_try = min(self._may_try + seconds * self.per_s, len(self._line))
        while self._may_try >= 1 and self._line:
            self._may_try -= 1
            identity, since_s = self._line.popleft()
            self._tried.add(identity)
            self.waits_s.append(self.now_s - since_s)
        if looks:
            self.progress.seen(self._tried.intersection(self.progress.open()), self.now_s)


def test_nobody_is_refused_while_everything_is_tried_in_time() -> None:
    workers = Workers(per_s=100)
    workers.asked(per_s=90, seconds=20)
    assert workers.refused == 0 and workers.progress.wait_s(workers.now_s) == 0


def test_five_times_too_much_is_refused_before_it_waits_for_long() -> None:
    workers = Workers(per_s=100)
    workers.asked(per_s=500, seconds=20)
    assert max(workers.waits_s) < 10
    assert len(workers.waits_s) > 0.95 * 100 * 20, "and the workers are never idle for it"


def test_after_a_flood_the_door_is_open_again_within_ten_seconds() -> None:
    workers = Workers(per_s=100)
    workers.asked(per_s=1_000, seconds=20)
    workers.asked(per_s=20, seconds=10)
    before, tried = workers.refused, len(workers.waits_s)
    workers.asked(per_s=20, seconds=10)
    assert workers.refused == before
    assert max(workers.waits_s[tried:]) < 1


def test_a_worker_that_is_started_anew_makes_nobody_hear_no() -> None:
    workers = Workers(per_s=100)
    workers.asked(per_s=20, seconds=10)
    workers.per_s = 0
    workers.asked(per_s=20, seconds=12)
    workers.per_s = 100
    workers.asked(per_s=20, seconds=20)
    assert workers.refused == 0


def test_the_first_moment_after_a_standstill_is_no_pace() -> None:
    """Kafka was back, and forty users heard no because the first three came half a second before the others."""
    progress, known = Progress(), [UUID(int=next(_ids)) for _ in range(80)]
    for number, identity in enumerate(known):
        progress.accepted(lambda identity=identity: identity, number / 10)  # type: ignore[misc]
    progress.seen(set(known[:2]), 16.0)
    progress.seen(set(known[:5]), 16.5)
    assert progress.wait_s(16.5) == 0
    progress.seen(set(known[:14]), 17.5)
    assert progress.wait_s(17.5) > 5, "a second and a half later it is"


def test_what_stands_still_is_waited_for() -> None:
    workers = Workers(per_s=0)
    workers.asked(per_s=20, seconds=40)
    assert workers.refused == 0 and workers.progress.wait_s(workers.now_s) == 0


def test_a_burst_after_a_quiet_time_makes_nobody_hear_no() -> None:
    workers = Workers(per_s=100)
    workers.asked(per_s=0.5, seconds=600)
    workers.asked_at_once(90)
    workers.asked(per_s=20, seconds=10)
    assert workers.refused == 0


def after_a_quiet_time(burst: int) -> Progress:
    """Ten seconds of one a second, each tried half a second later, and a burst at the end of it."""
    progress = Progress()
    for second in range(10):
        identity = UUID(int=next(_ids))
        progress.accepted(lambda identity=identity: identity, second)  # type: ignore[misc]
        progress.seen({identity}, second + 0.5)
    for _ in range(burst):
        progress.accepted(lambda: UUID(int=next(_ids)), 10.0)
    return progress


def test_a_pace_that_was_seen_while_little_came_says_little_of_how_long_a_burst_waits() -> None:
    progress = after_a_quiet_time(burst=30)
    assert progress.wait_s(10.9) == 0, "within a second nobody waits in a line worth the name"
    assert 4 < progress.wait_s(11.1) < 5, "not half a minute"


def test_a_few_that_wait_for_a_moment_in_which_nothing_goes_on_are_no_line() -> None:
    assert after_a_quiet_time(burst=16).wait_s(11.4) == 0


def test_one_that_is_never_tried_is_passed_over() -> None:
    progress = Progress()
    stuck, others = UUID(int=next(_ids)), [UUID(int=next(_ids)) for _ in range(60)]
    progress.accepted(lambda: stuck, 0.0)
    for second, identity in enumerate(others):
        progress.accepted(lambda identity=identity: identity, second + 0.2)  # type: ignore[misc]
        progress.seen({identity}, second + 1.0)
        assert progress.wait_s(second + 1.0) == 0
    assert progress.open() == []
