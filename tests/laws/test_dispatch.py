"""What holds for every send, whatever the gateways answer and however long they take."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.support.sends import BLIND, CAN_BE_ASKED, DEDUPES, EAST, NORTH, NOW, SOUTH, attempt, routing
from watchword.dispatch.decide.approach import NO_ANSWER, Way, after_asking, approach, uncalled
from watchword.dispatch.decide.conclude import conclude
from watchword.dispatch.decide.facts import Attempt, Called, Came, Choice, Nobody
from watchword.dispatch.decide.plan import plan
from watchword.dispatch.decide.tell import Conclusion
from watchword.dispatch.inflight import Watermark
from watchword.events.send_requested import SendRequested
from watchword.gateways.outcome import Outcome, OutcomeClass
from watchword.kernel.verification import MAY_HAVE_LEFT, AttemptState

ACCOUNTS = (NORTH, SOUTH, EAST)
answers = st.builds(
    lambda kind, wait: Called(Outcome(kind, retry_after_ms=wait)),
    st.sampled_from([*OutcomeClass, *[OutcomeClass.TEMPORARY, OutcomeClass.AMBIGUOUS] * 8]),
    st.sampled_from([0] * 12 + [4_000, 20_000, 90_000]),
)


@dataclass
class Send:
    """One send played to its end: the calls made, each with its moment, and how every attempt concluded."""

    data: st.DataObject
    now: datetime
    calls: list[tuple[Attempt, datetime]]
    ends: list[tuple[Attempt, AttemptState]]

    def play(self, case: Attempt) -> None:
        """Carry an attempt and all that follows out, with drawn answers and delays."""
        route = routing(
            *ACCOUNTS, away=self.data.draw(st.sampled_from([()] * 6 + [ACCOUNTS[:1], ACCOUNTS[1:], ACCOUNTS]))
        )
        case, came = self.come_to(case)
        conclusion = conclude(case, came, route, self.now)
        self.ends.append((case, conclusion.state))
        follow = conclusion.follow
        if follow is not None:
            self.play(case.next(follow.id, follow.choice, case.abilities, follow.concluded))
        else:
            self.wait_and_play(case, conclusion)

    def wait_and_play(self, case: Attempt, conclusion: Conclusion) -> None:
        """Take up what was queued, when it is due or any time later."""
        queued = [
            emit.event
            for write in conclusion.done.writes
            for emit in write.emits
            if isinstance(emit.event, SendRequested)
        ]
        for request in queued:
            assert request.not_before is not None
            assert self.now < request.not_before < case.about.expires_at
            if request.recovery == 0 or not case.abilities.can_be_asked:
                assert request.not_before < case.send_deadline
            self.now = request.not_before + timedelta(seconds=self.data.draw(st.sampled_from([0, 0, 0, 0, 1, 40])))
            self.play(self.taken_up(case, conclusion, request))

    def taken_up(self, case: Attempt, conclusion: Conclusion, request: SendRequested) -> Attempt:
        concluded = case.as_try(conclusion.state)
        tries = case.tries if request.recovery else (*case.tries, concluded)
        choice = plan(1, tries, routing(*ACCOUNTS))
        account = case.account if request.recovery else choice.account if isinstance(choice, Choice) else None
        return attempt(
            send_deadline=case.send_deadline,
            try_no=request.try_no,
            recovery=request.recovery,
            called_before=request.recovery > 0,
            abilities=case.abilities,
            account=account,
            tries=tries,
            tier_s=self.data.draw(st.sampled_from([0, 1, 5, 15])),
            live=self.data.draw(st.sampled_from([True] * 9 + [False])),
        )

    def come_to(self, case: Attempt) -> tuple[Attempt, Came]:
        way = approach(case, self.now)
        if way is Way.ASK:
            found = self.data.draw(st.sampled_from([None, Outcome(OutcomeClass.ACCEPTED), NO_ANSWER.outcome]))
            way = after_asking(case, found, self.now)
            case = structs.replace(case, called_before=found is not None)
        if not isinstance(way, Way):
            return case, way
        if case.account is None:
            return case, uncalled(case, Nobody("accounts_away", hopeless=False))
        self.calls.append((case, self.now))
        self.now += timedelta(seconds=self.data.draw(st.sampled_from([0, 0, 0, 0, 1, 7])))
        return case, self.data.draw(answers)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_send_keeps_its_bounds_whatever_the_gateways_answer(data: st.DataObject) -> None:
    life_s = data.draw(st.sampled_from([240, 240, 240, 60, 20, 9, 5, 1]))
    abilities = data.draw(st.sampled_from([BLIND, DEDUPES, CAN_BE_ASKED]))
    send = Send(data, NOW, [], [])
    send.play(attempt(send_deadline=NOW + timedelta(seconds=life_s), abilities=abilities))

    assert all(moment < case.send_deadline for case, moment in send.calls), "sent after its deadline"
    concluded = [(case, state) for case, state in send.ends if state is not AttemptState.QUEUED]
    assert len(concluded) == len({case.id for case, _ in concluded}) <= 4
    assert sum(state in MAY_HAVE_LEFT for _, state in concluded) <= 2
    assert sum(state is AttemptState.ACCEPTED for _, state in concluded) <= 1
    assert max(case.recovery for case, _ in send.ends) <= 3


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.data())
def test_a_committed_offset_is_never_above_the_lowest_unfinished_record(gaps: list[int], data: st.DataObject) -> None:
    offsets = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    order = data.draw(st.permutations(offsets))
    mark, taken, unfinished = Watermark(), 0, set()
    for offset in order:
        while offset not in unfinished:
            mark.take(offsets[taken])
            unfinished.add(offsets[taken])
            taken += 1
        mark.finish(offset)
        unfinished.discard(offset)
        assert mark.position == min(unfinished, default=offsets[taken - 1] + 1)
