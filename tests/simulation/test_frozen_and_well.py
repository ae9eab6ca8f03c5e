"""A process of dispatch stands still for longer than a call may take, and hears nothing of whom it called: that is no
reason not to call it again."""

from tests.simulation.premises import PURPOSES
from tests.simulation.users import Users
from tests.simulation.world import World

ONE_OF_EACH = (("front", 0), ("fraud", 0), ("codes", 0), ("dispatch", 0), ("receipts", 0), ("timers", 0))
ONLY_ACCOUNT = PURPOSES.index("recovery")
PHONES = 9
CALLS = 2 * PHONES
GAP_S = 3.1
LONGER_THAN_A_CALL_S = 4.0


def test_an_account_is_not_taken_out_for_what_timed_out_while_its_caller_was_frozen() -> None:
    with World(7, processes=ONE_OF_EACH) as world:
        users, [dispatch] = Users(world), world.named("dispatch")
        world.set_mood("holds", "mute")
        world.freeze(dispatch, GAP_S + 0.5)  # so that all of it is called for at once
        for phone in range(PHONES):
            users.start(phone, ONLY_ACCOUNT)
        world.advance(GAP_S)
        for which in range(PHONES):
            users.resend(which)
        world.until(lambda: len(world.carriers.passed) == CALLS)
        world.freeze(dispatch, LONGER_THAN_A_CALL_S)
        world.advance(LONGER_THAN_A_CALL_S + 0.5)
        world.set_mood("holds", "well")
        users.start(PHONES, ONLY_ACCOUNT)
        world.until(lambda: len(world.carriers.passed) == CALLS + 1, within_s=2.0)
