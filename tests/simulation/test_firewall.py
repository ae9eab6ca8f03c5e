"""A firewall before a carrier answers one message with `429` and `Retry-After: 3600`, and lets the next one pass."""

import pytest

from tests.simulation import carriers
from tests.simulation.premises import PURPOSES
from tests.simulation.users import Users
from tests.simulation.world import World
from watchword.dispatch.pacing import PAUSE_MAX_S
from watchword.gateways.outcome import Outcome, OutcomeClass

ONE_OF_EACH = (("front", 0), ("fraud", 0), ("codes", 0), ("dispatch", 0), ("receipts", 0), ("timers", 0))
AN_HOUR = Outcome(OutcomeClass.THROTTLED, raw_code="429", retry_after_ms=3_600_000)
ONLY_ACCOUNT = PURPOSES.index("recovery")


def test_users_of_an_account_get_codes_again_within_a_minute_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(carriers.MOODS, "walled", {"walled": 1})
    monkeypatch.setitem(carriers._ANSWERS, "walled", AN_HOUR)
    with World(7, processes=ONE_OF_EACH) as world:
        users = Users(world)
        world.set_mood("holds", "walled")
        users.start(0, ONLY_ACCOUNT)
        world.until(lambda: bool(world.carriers.passed))
        world.advance(1.0)
        world.set_mood("holds", "well")
        world.advance(PAUSE_MAX_S)
        for phone in range(1, 9):
            users.start(phone, ONLY_ACCOUNT)
        world.advance(3.0)
        assert sum(world.carriers.sms.values()) == 8
