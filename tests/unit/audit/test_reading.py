"""What is noticed while the topics go by."""

import inspect
from dataclasses import replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from tests.support.history import History
from tests.unit.dead.test_letters import WHY, Record
from tests.unit.replay.test_compare import live_of
from watchword.audit.facts import Position
from watchword.audit.reading import READ_AND_REFUSED, UNKNOWN_VERIFICATION, UNREADABLE, Noticed, Reading
from watchword.audit.sightings import Canaries
from watchword.callbacks.decide import tell
from watchword.codes import decide as codes
from watchword.dead.letters import letter_of
from watchword.dispatch import feed, taking
from watchword.events import topics
from watchword.events.verification_refused import VerificationRefused
from watchword.fraud import judge
from watchword.fraud.decide import assess
from watchword.kernel.event import Emit
from watchword.replay.entry import Entry, entry_of
from watchword.replay.fold import Fold
from watchword.runtime import loop, outbox
from watchword.runtime.outbox import Origin


def life() -> History:
    return History().requested().assessed().issued().queued()


def taken(topic: str, committed: int, end: int = 10) -> Position:
    return Position("group", topic, 0, committed, 0, end)


def noticed(history: History, *positions: Position, entries: list[Entry] | None = None, **row: Any) -> Noticed:
    live = live_of(history)
    if row:
        [known] = live.verifications.values()
        live = replace(live, verifications={known.id: replace(known, **row)})
    reading = Reading(live, Fold(), Canaries(), positions)
    for entry in history.entries() if entries is None else entries:
        reading.saw(entry, entry.key.encode())
    return reading.told(frozenset())


def test_what_was_taken_and_done_is_not_passed_over() -> None:
    told = noticed(life().made(), *(taken(topic, 10) for topic in topics.ALL))
    assert told.passed_over == ()


@pytest.mark.parametrize(
    ("topic", "row", "what"),
    [
        (topics.REQUESTS, {"sends_assessed": 0}, "its send was never assessed"),
        (topics.ASSESSMENTS, {"sends_issued": 0}, "its send was never issued"),
        (topics.DISPATCH, {}, "its attempt was never claimed"),
    ],
)
def test_offset_below_which_nothing_was_done_is_told(topic: str, row: dict[str, Any], what: str) -> None:
    history = life()
    [entry] = [each for each in history.entries() if each.topic == topic]
    assert noticed(history, taken(topic, 10), **row).passed_over == ((entry.place, what),)
    assert noticed(history, taken(topic, entry.offset), **row).passed_over == ()
    assert noticed(history, taken(topic, 10), **row, state="expired").passed_over == ()


def test_send_request_that_moved_on_to_a_retry_topic_is_not_passed_over() -> None:
    history = life()
    entries = history.entries()
    moved = replace(entries[3], topic=topics.RETRY_5S, offset=0)
    positions = (taken(topics.DISPATCH, 10), taken(topics.RETRY_5S, 0))
    assert noticed(history, *positions, entries=[*entries, moved]).passed_over == ()
    positions = (taken(topics.DISPATCH, 10), taken(topics.RETRY_5S, 1))
    assert len(noticed(history, *positions, entries=[*entries, moved]).passed_over) == 1


def test_record_that_was_buried_is_not_passed_over() -> None:
    history = life()
    live = live_of(history)
    [row] = live.verifications.values()
    live = replace(live, verifications={row.id: replace(row, sends_issued=0)})
    reading = Reading(live, Fold(), Canaries(), (taken(topics.ASSESSMENTS, 10),))
    why = [*WHY[:3], ("wwd_partition", b"0"), ("wwd_offset", b"1")]
    reading.saw_letter(letter_of(Record(headers=why), topics.dead(topics.ASSESSMENTS)))
    for entry in history.entries():
        reading.saw(entry, entry.key.encode())
    assert reading.told(frozenset()).passed_over == ()


def test_oldest_record_that_a_group_has_not_taken_says_since_when_it_waits() -> None:
    history = life()
    entries = history.entries()
    [position] = noticed(history, taken(topics.LIFECYCLE, 2)).positions
    assert position.waiting_since == entries[2].appended_at
    [position] = noticed(history, taken(topics.LIFECYCLE, 3)).positions
    assert position.waiting_since is None


def letters(origin_value: bytes | None, **changes: Any) -> Noticed:
    """One letter, and the record it says it was made of, holding `origin_value`."""
    reading = Reading(live_of(), Fold(), Canaries(), ())
    reading.saw_letter(letter_of(Record(**changes), topics.dead(topics.ASSESSMENTS)))
    if origin_value is not None:
        origin = Record(partition=2, offset=41, value=origin_value)
        reading.saw(entry_of(origin, topics.ASSESSMENTS), b"k")
    return reading.told(frozenset({f"{topics.dead(topics.ASSESSMENTS)}/0/6"}))


@pytest.mark.parametrize(
    ("origin", "intact"), [(b"{}", True), (b"{ }", False), (None, None)], ids=["same", "differs", "gone"]
)
def test_letter_is_held_against_the_record_it_was_made_of(origin: bytes | None, intact: bool | None) -> None:
    [letter] = letters(origin).letters
    assert (letter.intact, letter.reason, letter.handled) == (intact, "unreadable", False)


def test_withheld_value_and_missing_reason_are_told_as_such() -> None:
    assert letters(b"{}", value=None).letters[0].intact is None
    assert letters(b"{}", key=b"", headers=[*WHY, ("wwd_withheld", b"key of 5000 bytes")]).letters[0].intact is None
    assert letters(b"{}", headers=()).letters[0].reason == ""
    assert letters(b"{}", offset=6).letters[0].handled


@pytest.mark.parametrize(
    ("why", "good"),
    [
        (("unreadable", "Expected `object`, got `array`"), "can be read, and could be then"),
        (("unreadable", "missing header ce_id"), "can be read, and could be then"),
        (("unreadable", "version 2 of verification-assessed is not known to this reader"), ""),
        (("unreadable", "unknown event type"), ""),
        (("unreadable", "nested too deeply"), ""),
        (("unreadable", "a count is out of bounds"), ""),
        (("unreadable", "a time is out of bounds"), ""),
        (("unreadable", "verification-assessed has no place on this topic"), ""),
        (("unknown_verification", ""), "is about a verification that is there"),
        (("bug", "KeyError"), ""),
    ],
)
def test_good_event_in_a_dead_topic_is_known_by_what_was_said_of_it(why: tuple[str, str], good: str) -> None:
    history = life()
    row = history.told[1].row
    because = [("wwd_reason", why[0].encode()), ("wwd_detail", why[1].encode())]
    reading = Reading(live_of(history), Fold(), Canaries(), ())
    reading.saw_letter(letter_of(Record(value=row.value, headers=[*row.headers, *because]), row.topic + ".dead"))
    reading.saw_letter(letter_of(Record(value=b"{", headers=[*row.headers, *because]), row.topic + ".dead"))
    assert [each.good for each in reading.told(frozenset()).letters] == [good, ""]


@pytest.mark.parametrize(
    ("word", "module"),
    [
        *zip(READ_AND_REFUSED, (taking, taking, judge), strict=True),
        *((UNREADABLE, each) for each in (loop, feed, judge)),
        *((UNKNOWN_VERIFICATION, each) for each in (assess, codes, tell)),
    ],
)
def test_words_that_letters_are_known_by_are_those_of_the_workers(word: str, module: ModuleType) -> None:
    assert f'{word}"' in inspect.getsource(module)


def test_event_about_a_verification_that_nobody_has_was_buried_rightly() -> None:
    row = life().told[1].row
    reading = Reading(live_of(life()), Fold(), Canaries(), ())
    headers = [*row.headers, ("wwd_reason", b"unknown_verification")]
    reading.saw_letter(letter_of(Record(value=row.value, headers=headers), row.topic + ".dead"))
    assert reading.told(frozenset()).letters[0].good == ""


def inbox_record(identity: bytes, offset: int) -> Entry:
    headers = [
        ("ce_specversion", b"1.0"), ("ce_id", identity), ("ce_source", b"/shop"),
        ("ce_type", b"otp.verification-submitted.v1"),
    ]  # fmt: skip
    record = Record(offset=offset, value=b'{"to":"+919876543210"}', headers=headers)
    return entry_of(record, topics.INBOX)


def structured(offset: int) -> Entry:
    return entry_of(Record(offset=offset, value=b'{"id":"r-9","data":{}}', headers=()), topics.INBOX)


def test_requests_taken_from_the_inbox_are_known_by_id_in_both_modes() -> None:
    entries = [inbox_record(b"r-1", 0), structured(1), inbox_record(b"r-2", 2)]
    told = noticed(life(), taken(topics.INBOX, 2), entries=entries)
    assert [each.id for each in told.submitted] == ["r-1", "r-9"]
    assert told.sightings == ()


def test_request_is_answered_by_what_it_caused_or_by_a_refusal(began: datetime) -> None:
    history = History().requested()
    [told] = history.told
    row = outbox.row(told.emit, Origin("intake", began, causation_id="r-1"), sequence=1)
    refused = VerificationRefused(request_id="r-2", code="country_not_permitted")
    letter = outbox.row(Emit(refused, "otp.inbox.v1/0/5", counted=False), Origin("intake", began), sequence=0)
    entries = [
        entry_of(Record(key=each.key, value=each.value, headers=each.headers), each.topic) for each in (row, letter)
    ]
    answered = noticed(history, entries=entries).answered
    assert answered >= {"r-1", "r-2", "otp.inbox.v1/0/5"}


@pytest.fixture
def began() -> datetime:
    return History().began - timedelta(seconds=1)
