"""What goes the shorter way, and under which numbers."""

from datetime import UTC, datetime

from aiokafka import TopicPartition

from watchword.events.envelope import Envelope
from watchword.events.verification_refused import VerificationRefused
from watchword.kernel.event import Emit
from watchword.kernel.verdict import Done, Write
from watchword.runtime.at_once import Move, Seen, apart, move_of
from watchword.runtime.incoming import Incoming

EVENT = VerificationRefused(request_id="r", code="c")
ORIGIN = Envelope(id="cause", source="/test", type="t", time=datetime(2026, 3, 1, tzinfo=UTC), subject="v")


def moved(done: Done) -> Move | None:
    incoming = Incoming(EVENT, ORIGIN, "record's key", TopicPartition("t", 0), 0, None)
    seen = Seen(None, seq=4, verification="v")
    return move_of(incoming, done, seen, lambda verdict: verdict.writes[0].row if verdict.writes else None)


def test_events_are_numbered_from_the_one_that_was_seen_over_all_writes() -> None:
    first = Write("move", "v", (7,), (Emit(EVENT, "v", 1), Emit(EVENT, "v", 2, counted=False)))
    second = Write("queue", "a", (8,), (Emit(EVENT, "a"),))
    move = moved(Done((first, second)))
    assert move is not None
    assert [each.sequence for each in move.told] == [5, 0, 6]
    assert (move.verification, move.seq, move.counted, move.row) == ("v", 4, 2, (7,))
    assert {each.cause.event_id for each in move.told} == {"cause"}


def test_what_has_no_row_goes_the_usual_way() -> None:
    assert moved(Done.unchanged()) is None


def test_of_one_verification_no_two_are_written_at_once() -> None:
    """Both would tell their events under the same number."""
    first, second, other = (Move(about, 4, (), ()) for about in ("v", "v", "w"))
    assert apart({"a": first, "b": second, "c": other}) == {"c": other}
