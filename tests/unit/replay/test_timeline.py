"""Timelines from entries."""

from dataclasses import replace
from datetime import timedelta

import msgspec

from tests.support.history import approved
from watchword.events import topics
from watchword.replay.timeline import gist, receipts_of, timeline


def test_moments_stand_in_order_whatever_order_they_are_read_in() -> None:
    entries = approved().entries()
    told = timeline(reversed(entries))
    assert [moment.sequence for moment in told.moments] == list(range(1, len(entries) + 1))
    assert (told.gaps, told.unreadable) == ((), ())


def test_number_that_nobody_told_is_a_gap() -> None:
    entries = approved().entries()
    assert timeline([*entries[:2], *entries[4:]]).gaps == (3, 4)


def test_repeat_is_counted_and_not_shown_twice() -> None:
    entries = approved().entries()
    again = replace(entries[1], offset=99, appended_at=entries[1].appended_at + timedelta(seconds=3))
    told = timeline([again, *entries])
    assert [moment.repeats for moment in told.moments] == [0, 1, *[0] * (len(entries) - 2)]
    assert told.moments[1].entry.offset == entries[1].offset


def test_dead_letter_is_a_moment_of_its_own() -> None:
    entries = approved().entries()
    letter = replace(entries[1], topic=topics.dead(topics.ASSESSMENTS))
    assert len(timeline([*entries, letter]).moments) == len(entries) + 1


def test_uncounted_event_stands_where_its_time_puts_it() -> None:
    entries = approved().entries()
    envelope = entries[3].envelope
    assert envelope is not None
    later = envelope.time + timedelta(milliseconds=1)
    moved = replace(entries[3], envelope=msgspec.structs.replace(envelope, id="other", sequence=0, time=later))
    assert [moment.sequence for moment in timeline([*entries, moved]).moments[:6]] == [1, 2, 3, 4, 0, 5]


def test_time_under_way_is_never_negative() -> None:
    first, second, *_ = approved().entries()
    late = replace(first, appended_at=first.appended_at + timedelta(seconds=2))
    early = replace(second, appended_at=second.appended_at - timedelta(seconds=2))
    assert [moment.waited for moment in timeline([late, early]).moments] == [timedelta(seconds=2), timedelta(0)]


def test_what_cannot_be_read_is_listed() -> None:
    first, *_ = approved().entries()
    poison = replace(first, event=None, envelope=None, problem="missing header ce_id")
    assert timeline([poison]).unreadable == (poison,)


def test_carriers_know_an_attempt_by_our_reference_or_their_own() -> None:
    history = approved().made(2, 1, provider_id="m-7")
    references, named = receipts_of(history.about.verification_id, history.entries())
    assert str(history.attempt(2, 3)) in references
    assert named == {("alpha", "m-7")}


def test_gist_leaves_out_what_says_nothing() -> None:
    history = approved()
    assert (
        gist(history.told[4].event)
        == "send_no=1 try_no=1 result=accepted account=alpha outcome=accepted price_micros=7500"
    )
