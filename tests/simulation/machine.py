"""Histories that hypothesis invents and, when one breaks a promise, makes as short as it can."""

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.simulation.carriers import MOODS
from tests.simulation.histories import Told
from tests.simulation.premises import ACCOUNTS, PURPOSES
from tests.simulation.promises import broken
from tests.simulation.resting import GROUPS, come_to_rest, pause
from tests.simulation.users import Users
from tests.simulation.world import PROCESSES, World

numbers = st.integers(0, 31)
places = st.integers(0, len(PROCESSES) - 1)
few_seconds = st.sampled_from([0.5, 2.0, 6.0, 14.0])
shares = st.sampled_from([0.03, 0.1, 0.3])


class Machine(RuleBasedStateMachine):
    """Every deed of a world as a rule. What holds is asked once all is at rest."""

    played: ClassVar[int] = 0

    @initialize(seed=st.integers(0, 1 << 16), moods=st.lists(st.sampled_from(list(MOODS)), min_size=4, max_size=4))
    def begin(self, seed: int, moods: list[str]) -> None:
        """A world where nothing has happened yet."""
        self.world = World(seed).__enter__()
        self.users = Users(self.world)
        for account, mood in zip(ACCOUNTS, moods, strict=True):
            self.world.set_mood(account, mood)

    @rule(phone=st.integers(0, 2), purpose=st.integers(0, len(PURPOSES) - 1), strict=st.booleans())
    def start(self, phone: int, purpose: int, strict: bool) -> None:
        """A verification is asked for."""
        self.users.start(phone, purpose, strict=strict)

    @rule(which=numbers, right=st.booleans(), times=st.integers(1, 4))
    def check(self, which: int, right: bool, times: int) -> None:
        """A code is typed, perhaps several times at once."""
        for _ in range(times):
            self.users.check(which, right=right)

    @rule(which=numbers)
    def resend(self, which: int) -> None:
        """The code is asked for again."""
        self.users.resend(which)

    @rule(which=numbers)
    def cancel(self, which: int) -> None:
        """The platform changes its mind."""
        self.users.cancel(which)

    @rule(where=places, uses=st.integers(0, 40))
    def kill(self, where: int, uses: int) -> None:
        """A process dies, now or in the middle of what it does next."""
        process = self.world.process(where)
        if uses:
            self.world.kill_soon(process, uses)
        else:
            self.world.kill(process)

    @rule(where=places, seconds=st.sampled_from([0.5, 3.0, 13.0, 18.0]))
    def freeze(self, where: int, seconds: float) -> None:
        """A process stands still, perhaps until others have taken over."""
        self.world.freeze(self.world.process(where), seconds)

    @rule(where=places)
    def restart(self, where: int) -> None:
        """A process is told to stop."""
        self.world.restart(self.world.process(where))

    @rule(group=st.sampled_from(GROUPS))
    def rebalance(self, group: str) -> None:
        """Partitions are dealt anew."""
        self.world.rebalance(group)

    @rule(share=shares, seconds=few_seconds, kafka=st.booleans())
    def trouble(self, share: float, seconds: float, kafka: bool) -> None:
        """Connections break, acknowledgements are lost."""
        (self.world.trouble_broker if kafka else self.world.trouble_database)(share, seconds)

    @rule(seconds=few_seconds, kafka=st.booleans())
    def away(self, seconds: float, kafka: bool) -> None:
        """A server is away."""
        (self.world.take_away_broker if kafka else self.world.take_away_database)(seconds)

    @rule(account=st.sampled_from(list(ACCOUNTS)), mood=st.sampled_from(list(MOODS)))
    def mood(self, account: str, mood: str) -> None:
        """A carrier fares otherwise."""
        self.world.set_mood(account, mood)

    @rule(seconds=st.sampled_from([-5.0, -1.0, 1.0, 5.0]))
    def jump(self, seconds: float) -> None:
        """The database's clock is set."""
        self.world.jump(seconds)

    @rule(which=numbers)
    def repeat(self, which: int) -> None:
        """A record comes again."""
        self.world.repeat_record(which)

    @rule(seconds=st.sampled_from([0.01, 0.1, 1.0, 4.0, 10.0]))
    def advance(self, seconds: float) -> None:
        """Time passes."""
        pause(self.users, seconds)

    def teardown(self) -> None:
        """All is well again, everything comes to rest, and every promise has been kept."""
        if not hasattr(self, "world"):
            return
        type(self).played += 1
        try:
            come_to_rest(self.users)
            found = broken(self.users)
        finally:
            self.world.__exit__(None, None, None)
        assert not found, str(Told(self.world.seed, found, self.world.log, "its deeds as hypothesis shrank them:"))
