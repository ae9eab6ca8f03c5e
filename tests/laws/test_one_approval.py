"""Checks of one verification in any interleaving: never more counted than there are, never two approvals, and none
without its count committed first. The table of the store's guards stands in for Postgres; that Postgres keeps the
same guards is proven in tests/contract/stores."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from watchword.checks.decide import Answer, CheckFacts, Guess, Result, answer, conclude, conclude_late, uncounted
from watchword.events.verification import Facts, Signals
from watchword.kernel.verification import State, Step, after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FACTS = CheckFacts(
    about=Facts(
        verification_id=UUID("0195f000-0000-7000-8000-000000000001"),
        tenant="shop",
        number_token="token",
        country="IN",
        range="+91987654",
        purpose="login",
        channel="sms",
        policy="default",
        policy_version=1,
        expires_at=NOW + timedelta(seconds=300),
    ),
    state=State.ISSUED,
    in_time=True,
    requested_at=NOW,
    binding_hash="",
    signals=Signals(),
    sends_issued=1,
    checks_used=0,
    checks_max=5,
)
_STEPS = {"approve": Step.APPROVE, "lock": Step.LOCK}


@dataclass
class Row:
    """The verification's row, with the guards of `count`, `approve` and `lock`."""

    facts: CheckFacts
    endings: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def count(self) -> Answer | CheckFacts:
        """The first transaction: an answer, or the facts as counted."""
        known = uncounted(self.facts)
        if known is not None:
            return known
        self.facts = replace(self.facts, checks_used=self.facts.checks_used + 1)
        return self.facts

    def conclude(self, counted: CheckFacts, right: bool) -> Answer:
        """The second: the guarded ending, or what is left to those who lost the race."""
        guess = Guess(counted.checks_used, right=right, bound=True)
        [write] = conclude(counted, guess).writes
        step = _STEPS.get(write.statement)
        ended = after(self.facts.state, step) if step else None
        if step is not None and ended is None:
            late, done = conclude_late(counted, guess, self.facts.state)
            self.told += [emit.event.NAME for emit in done.writes[0].emits]
            return late
        if ended is not None:
            self.facts = replace(self.facts, state=ended)
            self.endings.append(ended.value)
        self.told += [emit.event.NAME for emit in write.emits]
        return answer(counted, guess)


@given(st.integers(1, 6), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_however_checks_interleave_one_code_approves_once_within_its_checks(
    checks_max: int, moves: list[tuple[bool, bool]]
) -> None:
    """Each move begins a check (right or wrong) or, where one is under way, may finish the oldest."""
    row = Row(replace(FACTS, checks_max=checks_max))
    under_way: list[tuple[CheckFacts, bool]] = []
    answers: list[Answer] = []
    for finishes, right in moves:
        if finishes and under_way:
            answers.append(row.conclude(*under_way.pop(0)))
            continue
        counted = row.count()
        if isinstance(counted, Answer):
            answers.append(counted)
        else:
            under_way.append((counted, right))
    answers += [row.conclude(*one) for one in under_way]
    approved = sum(one.result is Result.APPROVED for one in answers)
    assert approved <= 1
    assert approved == (row.facts.state is State.APPROVED)
    assert row.facts.checks_used <= checks_max
    assert len(row.endings) <= 1
    assert row.told.count("code-checked") == row.facts.checks_used
    assert row.told.count("verification-ended") == len(row.endings)
