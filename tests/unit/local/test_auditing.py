"""When the audit at the end of a run takes what is left lying for what will stay there."""

from watchword.audit.facts import Breach, Finding
from watchword.local.auditing import at_rest

READING_S, WITHIN_S = 80.0, 45.0
BEHIND = [Finding("A9", "nothing is left lying", (Breach("otp.signals.v1/3", "group judge is 2 records behind"),))]
CAUGHT_UP = [Finding("A9", "nothing is left lying", ())]


class Audit:
    """What is found, each time after a long read."""

    def __init__(self, *answers: list[Finding]) -> None:
        self.left = list(answers)
        self.now_s = 0.0

    async def look(self) -> list[Finding]:
        self.now_s += READING_S
        return self.left.pop(0)

    async def told(self) -> list[Finding]:
        return await at_rest(self.look, within_s=WITHIN_S, pause_s=0, monotonic=lambda: self.now_s)


async def test_a_worker_that_was_a_moment_behind_after_a_burst_is_looked_at_again_however_long_reading_took() -> None:
    """A bench with a burst was told that the judge was two records and no second behind."""
    assert await Audit(BEHIND, CAUGHT_UP).told() == CAUGHT_UP


async def test_who_stays_behind_is_told_of() -> None:
    audit = Audit(BEHIND, BEHIND, CAUGHT_UP)
    assert await audit.told() == BEHIND
    assert audit.left == [CAUGHT_UP]
