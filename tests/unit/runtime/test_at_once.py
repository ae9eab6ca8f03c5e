"""What goes the shorter way, and under which numbers."""

from datetime import UTC, datetime

from aiokafka import TopicPartition

from watchword.events.envelope import Envelope
from watchword.events.verification_refused import VerificationRefused
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.runtime.at_once import Move, move_of
from watchword.runtime.incoming import Incoming

EVENT = VerificationRefused(request_id="r", code="c")
ORIGIN = Envelope(id="cause", source="/test", type="t", time=datetime(2026, 3, 1, tzinfo=UTC), subject="v")


def moved(done: Done, *, key: str = "v", seq: int = 4) -> Move | None:
    incoming = Incoming(EVENT, ORIGIN, key, TopicPartition("t", 0), 0, None)
    return move_of(incoming, done, seq, lambda verdict: verdict.writes[0].row if verdict.writes else None)


def test_events_are_numbered_from_the_one_that_was_seen_over_all_writes() -> None:
    first = Write("move", "v", (7,), (Emit(EVENT, "v", 1), Emit(EVENT, "v", 2, counted=False)))
    second = Write("queue", "a", (8,), (Emit(EVENT, "a"),))
    move = moved(Done((first, second)))
    assert move is not None
    assert [each.sequence for each in move.told] == [5, 0, 6]
    assert (move.key, move.seq, move.counted, move.row) == ("v", 4, 2, (7,))
    assert {each.cause.event_id for each in move.told} == {"cause"}


def test_what_has_no_row_goes_the_usual_way() -> None:
    assert moved(Done.unchanged()) is None


def test_a_record_under_another_key_than_its_verifications_goes_the_usual_way() -> None:
    """What was written is known by that key."""
    assert moved(Done((Write("move", "v", (7,)),)), key="V") is None
