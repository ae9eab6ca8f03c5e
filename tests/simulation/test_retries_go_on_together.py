"""An account is away, and those whose messages it did not take come back for them together, not one by one."""

from tests.simulation.premises import PURPOSES
from tests.simulation.users import Users
from tests.simulation.world import World

ONE_OF_EACH = (("front", 0), ("fraud", 0), ("codes", 0), ("dispatch", 0), ("receipts", 0), ("timers", 0))
ONLY_ACCOUNT = PURPOSES.index("recovery")
APART_S = 0.025
PHONES = 5


def test_messages_that_are_due_close_to_each_other_are_taken_up_together() -> None:
    with World(7, processes=ONE_OF_EACH) as world:
        users = Users(world)
        world.set_mood("holds", "away")
        for phone in range(PHONES):
            users.start(phone, ONLY_ACCOUNT)
            world.advance(APART_S)
        world.advance(0.5)
        world.set_mood("holds", "well")
        world.advance(3.0)
        claimed = {
            try_no: [row["claimed_at"] for row in world.database.tables["attempts"].values() if row["try_no"] == try_no]
            for try_no in (1, 2)
        }
    assert [len(moments) for moments in claimed.values()] == [PHONES, PHONES]
    assert len(set(claimed[1])) > 2, "they came one by one"
    assert len(set(claimed[2])) <= 2, "what is due within 0.2 s is taken up at one moment, or at two if it lies across"
