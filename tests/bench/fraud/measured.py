"""What one world comes to, measured and kept: a line a season and engine, by the code that measured it.

An engine lives through the opening of a world once; every season goes on from there in a process that begins as a copy
of the one that did (fork), so that three days of people are not lived through ten times over.
"""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

from tests.bench.fraud.baselines import Conversion, LeakyBudgets, SixSigma, StaticVelocity, WeightedScore
from tests.bench.fraud.engines import Watchword
from tests.bench.fraud.figures import Figures, figures
from tests.bench.fraud.report import AS_LIVE, AT_ONCE, OURS
from tests.bench.fraud.season import WARM_S, Engine, Life, Season, opening, season
from tests.bench.fraud.traffic import Ask
from tests.bench.fraud.world import START_S, world
from watchword.fraud.decide import score
from watchword.kernel import feature

KEPT = Path(".bench/fraud")
ENGINES: dict[str, Callable[[], Engine]] = {
    AS_LIVE: partial(Watchword, as_live=True),
    AT_ONCE: Watchword,
    "leaky budgets": LeakyBudgets,
    "conversion 35 %": Conversion,
    "six sigma": SixSigma,
    "static velocity": StaticVelocity,
    "weighted score": WeightedScore,
}
_NOT_MEASURING = frozenset({"__main__.py", "report.py", "speed.py", "judge.py", "assess.py"})

Key = tuple[int, str, str]
"""World, season, engine."""


class Kept:
    """What was measured by this very code, so that a run that was ended goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self.known: dict[Key, Figures] = {(key[0], key[1], key[2]): found for key, found in map(json.loads, lines)}

    def keep(self, key: Key, found: Figures) -> None:
        """Remember, beyond this process."""
        self.known[key] = found
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, found]) + "\n")


def fingerprint() -> str:
    """A digest of the model and of what lives and counts here: figures of other code are never mixed with its own."""
    digest = blake2b(digest_size=8)
    paths = [Path(feature.__file__), *Path(score.__file__).parent.glob("*.py")]
    paths += [each for each in Path(__file__).parent.glob("*.py") if each.name not in _NOT_MEASURING]
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def measure(seed: int, wanted: Sequence[tuple[str, str]]) -> list[tuple[Key, Figures]]:
    """The figures of one world for pairs of season and engine."""
    home = world(seed)
    seasons = {name: season(home, name) for name in dict.fromkeys(name for name, _ in wanted)}
    first = opening(home)
    found = []
    for engine_name in dict.fromkeys(engine for _, engine in wanted):
        names = [name for name, engine in wanted if engine == engine_name]
        found += [
            ((seed, name, engine_name), told) for name, told in lived(engine_name, first, [seasons[n] for n in names])
        ]
    return found


def lived(engine_name: str, first: Season, seasons: Sequence[Season]) -> Iterator[tuple[str, Figures]]:
    """Every season lived through with an engine: those that follow the opening from there, the others from nothing."""
    opened, timed = begun(engine_name, first.world.seed)
    if any(each.follows for each in seasons):
        opened.live(first, START_S + WARM_S)
    gc.collect()
    gc.freeze()
    for made in seasons:
        yield made.name, _apart(lambda made=made: _figures(engine_name, made, opened, timed))  # type: ignore[misc]
    gc.unfreeze()


def begun(engine_name: str, seed: int) -> tuple[Life, "Timed"]:
    """A life with a new engine."""
    timed = Timed(ENGINES[engine_name]())
    return Life(timed, seed), timed


def _figures(engine_name: str, made: Season, life: Life, timed: "Timed") -> Figures:
    if not made.follows:
        life, timed = begun(engine_name, made.world.seed)
    life.live(made)
    found = figures(made, life.lived, explains=engine_name.startswith(OURS))
    found["decision µs, median"] = [statistics.median(timed.micros)]
    found["decision µs, p99"] = [statistics.quantiles(timed.micros, n=100)[98]]
    return found


def _apart(work: Callable[[], Figures]) -> Figures:
    """What `work` answers in a copy of this process, which is none the wiser. Raises RuntimeError if the copy died."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            with os.fdopen(writing, "wb") as file:
                file.write(json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"a season ended with status {status}")
    found: Figures = json.loads(told)
    return found


class Timed:
    """An engine with a watch: what deciding costs, of every twentieth request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._count = 0
        self.micros: list[float] = []
        self.tell = engine.tell

    def request(self, ask: Ask) -> tuple[str, float, str]:
        self._count += 1
        if self._count % 20:
            return self._engine.request(ask)
        started = time.thread_time()
        answer = self._engine.request(ask)
        self.micros.append((time.thread_time() - started) * 1e6)
        return answer
