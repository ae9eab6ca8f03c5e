"""Each defence is switched off once, and the audit or another promise turns red; with it on, the same history is fine.

The table below is the proof's contents: the defence, what switches it off, the deeds that need it, what turned red.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.simulation import mutations as off
from tests.simulation.premises import PURPOSES
from tests.simulation.promises import broken, told_by_audit
from tests.simulation.resting import come_to_rest
from tests.simulation.statements import named
from tests.simulation.users import Users
from tests.simulation.world import World
from watchword.events import topics

ONE_OF_EACH = (("front", 0), ("fraud", 0), ("codes", 0), ("dispatch", 0), ("receipts", 0), ("timers", 0))
CLAIM = named("watchword.dispatch", "claim")
COUNT = named("watchword.checks", "count_at_once")


# Deeds ------------------------------------------------------------------------------------------------------------


def start(users: Users, purpose: str = "login", phone: int = 0) -> None:
    users.start(phone, PURPOSES.index(purpose))


def sent(users: Users) -> bool:
    return bool(users.world.carriers.sms)


def lies_on(users: Users, topic: str) -> bool:
    return any(log for place, log in users.world.broker.logs.items() if place.topic == topic)


def is_claimed(users: Users) -> bool:
    return any(row["state"] == "sending" for row in users.world.database.tables["attempts"].values())


def kafka_is_away(users: Users) -> None:
    """Longer than a publish waits, so that it is given up before the sweep can come to its help."""
    users.world.take_away_broker(12.0)
    start(users)
    users.world.advance(16.0)


def kafka_goes_away_after_the_first(users: Users) -> None:
    start(users)
    users.world.until(lambda: len(users.accepted) == 1)
    users.world.advance(0.05)
    users.world.take_away_broker(3.0)
    start(users, phone=1)
    users.world.advance(14.0)


def a_request_to_send_comes_twice(users: Users) -> None:
    users.world.set_mood("holds", "mute")
    start(users, "recovery")
    users.world.until(lambda: sent(users))
    users.world.repeat_last(topics.DISPATCH)


def its_claimer_is_frozen(users: Users, *, purpose: str, seconds: float, before_s: float = 0.0) -> None:
    if before_s:
        users.world.freeze(users.world.named("dispatch")[0], before_s)
    users.world.freeze_at(CLAIM, seconds)
    start(users, purpose)
    users.world.advance(32.0)


def its_caller_is_frozen(users: Users) -> None:
    start(users)
    users.world.until(lambda: sent(users))
    [row] = users.world.database.tables["attempts"].values()
    users.world.freeze(
        next(each for each in users.world.named("dispatch") if row["owner"].startswith(each.title)), 24.0
    )
    users.world.advance(30.0)


def delivered_and_then_on_its_way(users: Users) -> None:
    users.world.carriers.words = ("delivered", "enroute")
    start(users)
    users.world.advance(12.0)


def guessed(users: Users) -> None:
    start(users)
    users.world.until(lambda: sent(users))
    for _ in range(4):
        users.check(0, right=False)
        users.world.advance(0.2)
    users.check(0, right=True)
    users.world.advance(0.2)


def typed_twice_at_once(users: Users) -> None:
    start(users)
    users.world.until(lambda: sent(users))
    users.world.freeze_after(COUNT, 2.0)
    for front in (0, 1):
        users.front = front
        users.check(0, right=True)
        users.world.advance(0.2)


def asked_again(users: Users) -> None:
    start(users)
    users.world.until(lambda: len(users.accepted) == 1)
    users.ask_again()
    users.world.advance(1.0)


def asked_for_much(users: Users) -> None:
    for purpose in PURPOSES:
        start(users, purpose)
    users.world.advance(4.0)
    for which in range(len(PURPOSES)):
        users.resend(which)
    users.world.advance(1.0)


def asked_again_under_another_key(users: Users) -> None:
    start(users)
    users.world.until(lambda: len(users.accepted) == 1)
    users.world.advance(4.0)
    start(users)
    users.world.advance(1.0)


def sent_again_at_once(users: Users) -> None:
    start(users)
    users.world.until(lambda: len(users.accepted) == 1)
    users.resend(0)
    users.world.advance(1.0)


def asked_for_at_once(users: Users) -> None:
    users.front = 0
    for phone in range(5):
        start(users, phone=phone)
    users.world.until(lambda: users.waiting == 0)


def fraud_stands_still(users: Users) -> None:
    users.world.freeze(users.world.named("fraud")[0], 14.0)
    start(users)
    users.world.advance(10.0)


def guessed_while_fraud_looks(users: Users) -> None:
    users.world.freeze_after(named("watchword.fraud", "look"), 1.0)
    start(users)
    users.world.advance(0.4)
    users.check(0, right=False)
    users.world.advance(3.0)


def guessed_while_receipts_look(users: Users) -> None:
    users.world.freeze_after(named("watchword.receipts", "look"), 1.0)
    users.world.carriers.words = ("delivered",)
    start(users)
    users.world.until(lambda: users.world.named("receipts")[0].owner.frozen)
    users.check(0, right=False)
    users.world.advance(3.0)


def guessed_before_the_result(users: Users) -> None:
    start(users)
    users.world.until(lambda: sent(users))
    users.world.freeze(users.world.named("dispatch")[0], 1.0)
    users.check(0, right=False)
    users.world.advance(3.0)


def told_to_stop(users: Users) -> None:
    users.world.set_mood("dedupes", "slow")
    start(users)
    users.world.until(lambda: is_claimed(users))
    users.world.restart(users.world.named("dispatch")[0])
    users.world.advance(30.0)


def dies_before_the_work(users: Users, *, worker: str, topic: str, statement: str) -> None:
    users.world.refuse(named(f"watchword.{worker}", statement), 5.0)
    start(users)
    users.world.until(lambda: lies_on(users, topic))
    users.world.advance(2.5)
    users.world.kill(users.world.named(worker)[0])
    users.world.advance(9.0)


def postgres_is_away(users: Users) -> None:
    users.world.refuse(named("watchword.codes", "look"), 3.0)
    start(users)
    users.world.advance(4.0)
    for phone in range(1, 6):
        start(users, phone=phone)
    users.world.advance(3.0)


# What is asked ------------------------------------------------------------------------------------------------------


def whole(users: Users) -> list[str]:
    """Every promise, once all is at rest."""
    come_to_rest(users)
    return broken(users)


def offsets_now(users: Users) -> list[str]:
    """That no offset runs ahead, while the work may still be waited for."""
    return list(told_by_audit(users.world, ["A5"]))


def taken_up_again(users: Users) -> list[str]:
    """That whoever leaves in peace leaves nothing for others to find out."""
    rows = users.world.database.tables["attempts"].values()
    return [f"A2: {row['id']} was taken up {row['recovery']} times" for row in rows if row["recovery"]]


def sends_too_close(users: Users) -> list[str]:
    """That nobody is sent a second message within a second."""
    return [f"gap: {sends} sends to {token}" for token, sends in users.sends.items() if sends > 1]


def mixed_up(users: Users) -> list[str]:
    """That everybody is answered what they asked."""
    return [f"{key} got somebody else's answer" for key in users.mixed]


def nobody_waits_for_fraud(users: Users) -> list[str]:
    """That a code is on its way although nobody assessed its request."""
    return [] if sent(users) else ["A1: no code came while fraud stood still"]


@dataclass(frozen=True, slots=True)
class Defence:
    """One line of the table. `red` is how the breach that it is about begins, or a word in it."""

    name: str
    off: Callable[[World], off.Off]
    deeds: Callable[[Users], None]
    red: str
    asked: Callable[[Users], Iterable[str]] = whole
    also: tuple[tuple[str, int], ...] = ()


ANOTHER_DISPATCH = (("dispatch", 1),)
DEFENCES = (
    Defence("outbox", off.nothing_stored, kafka_is_away, "A6"),
    Defence("acknowledgement before the outbox row goes", off.settled_unheard, kafka_is_away, "A6"),
    Defence("old rows out and new ones in by one statement", off.only_settled, kafka_goes_away_after_the_first, "A6"),
    Defence("a claim asks for state", off.claimed_twice, a_request_to_send_comes_twice, "A2"),
    Defence("a result asks for owner and state", off.concluded_by_anybody, its_caller_is_frozen, "A4",
            also=ANOTHER_DISPATCH),
    Defence("a result under locks asks for them too", off.concluded_by_anybody_under_locks, its_caller_is_frozen, "A4",
            also=ANOTHER_DISPATCH),
    Defence("lease looked at before the call", off.lease_unasked,
            partial(its_claimer_is_frozen, purpose="payment", seconds=20.0), "A2", also=ANOTHER_DISPATCH),
    Defence("deadline looked at before the call", off.deadline_unasked,
            partial(its_claimer_is_frozen, purpose="login", seconds=11.0, before_s=11.8), "after its deadline"),
    Defence("drain", off.left_in_the_middle, told_to_stop, "A2", taken_up_again),
    Defence("watermark", off.newest_is_finished,
            partial(dies_before_the_work, worker="dispatch", topic=topics.DISPATCH, statement="claim"), "A5",
            offsets_now),
    Defence("offsets after the transaction", off.committed_when_read,
            partial(dies_before_the_work, worker="codes", topic=topics.ASSESSMENTS, statement="look"), "A5",
            offsets_now),
    Defence("what could not be done is read again", off.passed_over, postgres_is_away, "A5", offsets_now),
    Defence("what moved since it was looked at goes the usual way",
            partial(off.moved_or_not, worker="fraud", name="assess_at_once"), guessed_while_fraud_looks, "A4"),
    Defence("so does the report on what moved",
            partial(off.moved_or_not, worker="receipts", name="record_at_once"), guessed_while_receipts_look, "A4"),
    Defence("so does the result of what moved since it was claimed",
            partial(off.moved_or_not, worker="dispatch", name="conclude_at_once"), guessed_before_the_result, "A4"),
    Defence("receipt lattice", off.last_receipt_counts, delivered_and_then_on_its_way, "A7"),
    Defence("receipt lattice under locks", off.last_receipt_counts_under_locks, delivered_and_then_on_its_way, "A7"),
    Defence("count first", off.compared_uncounted, guessed, "A3"),
    Defence("guarded consume", off.approved_in_any_state, typed_twice_at_once, "A3", also=(("front", 1),)),
    Defence("idempotency", off.keys_forgotten, asked_again, "was answered with 2"),
    Defence("one live verification a number and purpose", off.live_one_forgotten, asked_again_under_another_key,
            "was begun while"),
    Defence("gap between sends", off.gap_unasked, sent_again_at_once, "gap", sends_too_close),
    Defence("each in a batch its own answer", off.answers_mixed, asked_for_at_once, "somebody else's", mixed_up),
    Defence("an assessment is waited for a while only", off.assessments_awaited, fraud_stands_still, "A1",
            nobody_waits_for_fraud),
    Defence("limits", off.limits_unasked, asked_for_much, "limits"),
)  # fmt: skip


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)
def test_without_a_defence_a_promise_turns_red(defence: Defence) -> None:
    kept = _breaches(defence, without=False)
    assert not kept, f"with everything in place: {kept}"
    found = _breaches(defence, without=True)
    assert any(defence.red in breach for breach in found), f"nobody noticed that {defence.name} is off: {found}"


def _breaches(defence: Defence, *, without: bool) -> list[str]:
    world = World(7, processes=(*ONE_OF_EACH, *defence.also))
    world.database.slow_share = 0.0
    with world:
        users = Users(world)
        if not without:
            defence.deeds(users)
            return list(defence.asked(users))
        with defence.off(world):
            try:
                defence.deeds(users)
                return list(defence.asked(users))
            except AssertionError as error:
                return [f"history ended: {error}"]
