"""A failover brings a database whose clock is a minute behind: nobody waits for that minute, and nothing looks dead."""

from tests.simulation.premises import PURPOSES
from tests.simulation.users import Users
from tests.simulation.world import World
from watchword.events import topics
from watchword.runtime.clock import REFRESH_S

ONE_OF_EACH = (("front", 0), ("fraud", 0), ("codes", 0), ("dispatch", 0), ("receipts", 0), ("timers", 0))
BACK_S = -60.0


def lies_on(world: World, topic: str) -> bool:
    return any(log for place, log in world.broker.logs.items() if place.topic == topic)


def test_codes_go_out_after_a_failover_to_a_replica_that_was_a_minute_behind() -> None:
    with World(7, processes=ONE_OF_EACH) as world:
        users, [dispatch] = Users(world), world.named("dispatch")
        world.advance(REFRESH_S)
        world.freeze(dispatch, 0.5)
        users.start(0, PURPOSES.index("login"))
        world.until(lambda: lies_on(world, topics.DISPATCH))
        world.jump(BACK_S)
        world.until(lambda: bool(world.carriers.sms), within_s=3.0)


def test_a_retry_in_flight_through_a_failover_is_made_about_when_it_was_due() -> None:
    with World(7, processes=ONE_OF_EACH) as world:
        users, [dispatch] = Users(world), world.named("dispatch")
        world.set_mood("holds", "away")
        users.start(0, PURPOSES.index("recovery"))
        world.until(lambda: lies_on(world, topics.RETRY_5S))
        world.advance(0.2)  # it is read, and held
        world.set_mood("holds", "well")
        world.freeze(dispatch, REFRESH_S)
        world.jump(BACK_S)
        world.until(lambda: bool(world.carriers.sms), within_s=REFRESH_S + 8.0)


def test_a_process_that_only_waits_for_retries_is_not_taken_for_dead() -> None:
    with World(7, processes=ONE_OF_EACH) as world:
        users, [dispatch] = Users(world), world.named("dispatch")
        world.set_mood("holds", "away")
        users.start(0, PURPOSES.index("recovery"))
        world.until(lambda: lies_on(world, topics.RETRY_5S))
        world.advance(3.0)
        health = dispatch.running.health if dispatch.running is not None else None
        assert health is not None
        [feed] = [state for state in world.loop.at_once(health.readiness) if state.check == "dispatch.feed"]
        assert feed.ok and feed.age_s < 1.0
