"""How time passes in a history: every moment of it while something is under way, at once while nothing is. An idle
process asks again and again and finds nothing; nobody has to live through that."""

from datetime import datetime

from tests.simulation.log import DELAY_MAX_S
from tests.simulation.premises import LIFE, LIFE_S
from tests.simulation.tables import ROUND_TRIP_MAX_S
from tests.simulation.users import Users
from tests.simulation.world import World
from watchword import flow
from watchword.audit.facts import Position
from watchword.kernel.verification import ENDED

GROUPS = ("fraud", "codes", "dispatch", "receipts")
ENDED_STATES = frozenset(state.value for state in ENDED)
# A receipt that never comes is owed an end ten minutes after the life of its code.
REST_AFTER_S = LIFE_S + 120.0
LOOK_EVERY_S = 0.5
A_MOMENT_S = 0.001


def pause(users: Users, seconds: float) -> None:
    """Let time pass."""
    world = users.world
    end_s = world.now_s + seconds
    while world.now_s < end_s:
        if end_s - world.now_s > LOOK_EVERY_S and (dues := owed(users)) is not None:
            _sleep_until(world, min(dues, default=world.now() + LIFE), end_s)
        world.advance(min(LOOK_EVERY_S, max(end_s - world.now_s, 0.0)))


def come_to_rest(users: Users) -> None:
    """All is well again: go on until nothing is under way any more, or everybody has had the time to end it. What is
    owed at several moments by then is dealt with at the last of them."""
    world = users.world
    world.heal()
    end_s = world.now_s + REST_AFTER_S
    while world.now_s < end_s and not at_rest(users):
        if dues := owed(users):
            _sleep_until(world, max(dues), end_s)
        world.advance(LOOK_EVERY_S)


def at_rest(users: Users) -> bool:
    """Whether nothing is under way any more, and nothing will be."""
    rows = users.world.database.tables["verifications"].values()
    return not _under_way(users) and all(row["state"] in ENDED_STATES and row["due_at"] is None for row in rows)


def owed(users: Users) -> list[datetime] | None:
    """When something is owed to a verification, where nothing is under way before; None while something is, or somebody
    is not there."""
    if _under_way(users) or not users.world.all_running:
        return None
    rows = users.world.database.tables["verifications"].values()
    return [row["due_at"] for row in rows if row["due_at"] is not None]


def positions(world: World) -> tuple[Position, ...]:
    """How far every group has come in every partition that it reads."""
    found = []
    for name in GROUPS:
        group = world.broker.groups.get(name)
        for topic in flow.GROUPS[name]:
            for place in world.broker.partitions_of([topic]):
                committed = group.committed.get(place, 0) if group is not None else 0
                end = len(world.broker.logs.get(place, ()))
                found.append(Position(name, topic, place.partition, committed, 0, end))
    return tuple(found)


def _under_way(users: Users) -> bool:
    tables = users.world.database.tables
    return (
        users.waiting > 0
        or bool(tables["outbox"])
        or any(row["state"] in ("queued", "sending") for row in tables["attempts"].values())
        or any(position.lag != 0 for position in positions(users.world))
    )


def _sleep_until(world: World, due: datetime, end_s: float) -> None:
    """Up to that moment, to whatever comes from outside before it, or to `end_s`; from a moment at which nobody is on
    the way to a server or back."""
    on_the_way_s = max(ROUND_TRIP_MAX_S, DELAY_MAX_S)
    while world.loop.next_timer_s() <= on_the_way_s and world.now_s + on_the_way_s < end_s:
        world.advance(on_the_way_s)
    outside_s = world.loop.next_timer_s(world.loop.world)
    asleep_s = min((due - world.now()).total_seconds() + A_MOMENT_S, outside_s, end_s - world.now_s)
    if asleep_s > LOOK_EVERY_S:
        world.loop.skip(asleep_s)
