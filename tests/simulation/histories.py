"""A history from a seed: which processes there are, what is done to them and when. Every deed is drawn, weighted so
that most of what happens is ordinary and something is always wrong somewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.carriers import MOODS
from tests.simulation.premises import ACCOUNTS, PURPOSES
from tests.simulation.promises import broken
from tests.simulation.resting import GROUPS, come_to_rest, pause
from tests.simulation.users import Users
from tests.simulation.world import PROCESSES, World

DEEDS_MAX = 24
_MOODS_AT_FIRST = ("well", "well", "well", "shaky", "shaky", "shaky", "mute", "busy")
_MORE = (("front", 1), ("codes", 1), ("dispatch", 1), ("timers", 1))
_ALWAYS = tuple(each for each in PROCESSES if each not in _MORE)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a history: the promises it broke, and how it went."""

    seed: int
    broken: list[str]
    log: list[str]
    again: str = "run it again: make simulate SEED={seed}"

    def __str__(self) -> str:
        lines = [f"seed {self.seed} breaks:", *(f"  - {each}" for each in self.broken), "its history:", *self.log]
        return "\n".join([*lines, self.again.format(seed=self.seed)])


def play(seed: int, *, verbose: bool = False, before: Callable[[World], None] = lambda world: None) -> Told:
    """The history of a seed, to its end. `before` is done to its world before anything else."""
    world = World(seed, processes=processes_of(seed), verbose=verbose)
    before(world)
    with world:
        users = Users(world)
        for account in ACCOUNTS:
            world.set_mood(account, world.draw.choice(_MOODS_AT_FIRST))
        try:
            for _ in range(world.draw.randint(6, DEEDS_MAX)):
                name = world.draw.choices(list(DEEDS), weights=[weight for weight, _ in DEEDS.values()])[0]
                DEEDS[name][1](users)
                pause(users, _pause_s(world))
            come_to_rest(users)
            found = broken(users)
        except AssertionError as error:
            found = [f"{type(error).__name__}: {error}"]
    return Told(seed, found, world.log)


def processes_of(seed: int) -> tuple[tuple[str, int], ...]:
    """One of each worker, and a second of some."""
    draw = World.drawn(seed, "processes")
    return (*_ALWAYS, *(each for each in _MORE if draw.random() < 0.4))


def _pause_s(world: World) -> float:
    return world.draw.choice((0.0, 0.0, 0.02, 0.1, 0.5, 1.0, 3.0, 8.0)) * world.draw.random()


def _start(users: Users) -> None:
    draw = users.world.draw
    users.start(draw.randrange(3), draw.randrange(len(PURPOSES)), strict=draw.random() < 0.3)


def _check(users: Users) -> None:
    users.check(_any(users), right=users.world.draw.random() < 0.6)


def _guess(users: Users) -> None:
    """Many wrong codes at once."""
    which = _any(users)
    for _ in range(users.world.draw.randint(2, 8)):
        users.check(which, right=False)


def _approve_twice(users: Users) -> None:
    """The right code, several times at once."""
    which = _any(users)
    for _ in range(users.world.draw.randint(2, 3)):
        users.check(which, right=True)


def _kill(users: Users) -> None:
    world = users.world
    world.kill(world.process(_any(users)))


def _kill_soon(users: Users) -> None:
    world = users.world
    world.kill_soon(world.process(_any(users)), world.draw.randint(1, 40))


def _freeze(users: Users) -> None:
    world = users.world
    world.freeze(world.process(_any(users)), world.draw.choice((0.5, 3.0, 13.0, 18.0, 25.0)))


def _restart(users: Users) -> None:
    users.world.restart(users.world.process(_any(users)))


def _rebalance(users: Users) -> None:
    users.world.rebalance(users.world.draw.choice(GROUPS))


def _trouble(users: Users) -> None:
    world = users.world
    deed = world.draw.choice((world.trouble_database, world.trouble_broker))
    deed(world.draw.choice((0.03, 0.1, 0.3)), world.draw.choice((2.0, 8.0)))


def _away(users: Users) -> None:
    world = users.world
    deed = world.draw.choice((world.take_away_database, world.take_away_broker))
    deed(world.draw.choice((1.0, 6.0, 14.0)))


def _mood(users: Users) -> None:
    draw = users.world.draw
    users.world.set_mood(draw.choice(list(ACCOUNTS)), draw.choice(list(MOODS)))


def _jump(users: Users) -> None:
    users.world.jump(users.world.draw.choice((-5.0, -1.0, 1.0, 5.0)))


def _repeat(users: Users) -> None:
    users.world.repeat_record(_any(users))


def _any(users: Users) -> int:
    return users.world.draw.randrange(1 << 16)


Deed = Callable[[Users], None]
DEEDS: Mapping[str, tuple[int, Deed]] = {
    "start": (8, _start),
    "check": (6, _check),
    "guess": (1, _guess),
    "approve_twice": (2, _approve_twice),
    "resend": (3, lambda users: users.resend(_any(users))),
    "cancel": (1, lambda users: users.cancel(_any(users))),
    "kill": (2, _kill),
    "kill_soon": (4, _kill_soon),
    "freeze": (1, _freeze),
    "restart": (1, _restart),
    "rebalance": (1, _rebalance),
    "trouble": (2, _trouble),
    "away": (1, _away),
    "mood": (3, _mood),
    "jump": (1, _jump),
    "repeat": (2, _repeat),
}
