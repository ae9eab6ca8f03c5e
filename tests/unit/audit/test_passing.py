"""Endings and carriers' reports that were taken and led to nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.history import History, approved
from tests.unit.replay.test_compare import live_of
from watchword.audit.facts import Position
from watchword.audit.passing import Passing, Traces
from watchword.events import topics
from watchword.events.receipt_received import ReceiptReceived
from watchword.kernel.ids import attempt_id
from watchword.replay.entry import Entry
from watchword.replay.live import Live

LIFE = approved()
ENDING = next(each for each in LIFE.entries() if each.event and each.event.NAME == "verification-ended")
IDENTITY = LIFE.about.verification_id
SENT = History().requested().assessed().issued().queued().made(provider_id="p-1")
ATTEMPT = SENT.attempt()


def passed_over(
    *entries: Entry, live: Live, groups: dict[str, int], traces: Traces | None = None, buried: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    """What was passed over by `groups` that committed these offsets of the entries' topic."""
    positions = [Position(group, entries[0].topic, 0, offset, 0, 10) for group, offset in groups.items()]
    passing = Passing(live, positions, traces or Traces())
    for entry in entries:
        passing.saw(entry)
    return list(passing.passed_over(frozenset(buried)))


# Endings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "whom"), [(("main",), "endpoint main"), (("main", ""), "endpoint main, its publisher")]
)
def test_ending_that_nobody_owes_to_who_was_to_hear_of_it_is_told(missing: tuple[str, ...], whom: str) -> None:
    traces = Traces(untold={IDENTITY: missing})
    told = passed_over(ENDING, live=live_of(LIFE), groups={"callbacks": 10}, traces=traces)
    assert told == [(ENDING.place, f"its end was never told to {whom}")]


@pytest.mark.parametrize(
    ("groups", "changes"),
    [
        ({"callbacks": 10}, {"untold": {}}),  # it is owed
        ({"callbacks": 8, "fraud-outcomes": 10}, {}),  # callbacks is not there yet
        ({"fraud-outcomes": 10}, {}),
        ({"callbacks": 10}, {"topic": topics.RESULTS}),  # the copy for publishers is read by no worker
        ({"callbacks": 10}, {"buried": (ENDING.place,)}),
    ],
)
def test_ending_that_is_owed_not_taken_or_buried_is_not_passed_over(groups: dict[str, int], changes: Any) -> None:
    traces = Traces(untold=changes.get("untold", {IDENTITY: ("main",)}))
    entry = replace(ENDING, topic=changes.get("topic", ENDING.topic))
    assert passed_over(entry, live=live_of(LIFE), groups=groups, traces=traces, buried=changes.get("buried", ())) == []


def test_callbacks_is_not_excused_by_who_reads_the_same_topic_more_slowly() -> None:
    traces = Traces(untold={IDENTITY: ("main",)})
    groups = {"callbacks": 10, "fraud-outcomes": 0}
    assert len(passed_over(ENDING, live=live_of(LIFE), groups=groups, traces=traces)) == 1


# Reports ---------------------------------------------------------------------------------------------------------


def report(**changes: Any) -> Entry:
    told = {"receipt_id": "r-1", "account": "alpha", "gateway": "echo", "sealed": "", "client_ref": str(ATTEMPT)}
    event = ReceiptReceived(**{"received_at": datetime.now(UTC), **told, **changes})
    return Entry(topics.RECEIPTS, 0, 3, event.received_at, "alpha/p-1", None, event)


def heard(entry: Entry, *, committed: int = 10, buried: tuple[str, ...] = (), **known: Any) -> list[str]:
    """What is said of a report, given what is `known` of its attempt and by which traces."""
    traces = Traces(**{name: known.pop(name) for name in ("parked", "in_parts", "counting") if name in known})
    live = live_of(SENT, **{name: known.pop(name) for name in ("waiting", "kept_since") if name in known})
    [attempt] = live.attempts.values()
    live = replace(live, attempts={attempt.id: replace(attempt, **known)})
    told = passed_over(entry, live=live, groups={"receipts": committed}, traces=traces, buried=buried)
    return [what for _, what in told]


NEVER_RECORDED = ["its report was never recorded"]
NEITHER = ["its report was neither parked nor buried"]


@pytest.mark.parametrize(
    "references", [{}, {"client_ref": "", "provider_id": "p-1"}, {"client_ref": "x", "provider_id": "p-1"}]
)
def test_report_of_an_attempt_of_which_nothing_is_known_is_told(references: dict[str, str]) -> None:
    assert heard(report(**references)) == NEVER_RECORDED


@pytest.mark.parametrize(
    "known",
    [
        {"receipt_state": "enroute"},
        {"in_parts": frozenset({ATTEMPT})},
        {"parked": frozenset({"r-1"})},
        {"counting": frozenset({"alpha"})},
        {"waiting": frozenset({"alpha/p-1"})},
        {"buried": (f"{topics.RECEIPTS}/0/3",)},
        {"committed": 3},
    ],
    ids=lambda known: next(iter(known)),
)
def test_report_that_left_any_trace_is_not_passed_over(known: dict[str, Any]) -> None:
    assert heard(report(), **known) == []


def stranger(age: timedelta = timedelta(0)) -> str:
    """A reference as ours are, of an attempt that nobody has."""
    born_ms = int((datetime.now(UTC) - age).timestamp() * 1_000)
    return str(attempt_id(UUID(int=born_ms << 80), 1, 1))


@pytest.mark.parametrize("reference", ["x", str(uuid4()), stranger()], ids=["no-id", "any-id", "like-ours"])
def test_report_of_no_attempt_is_parked_or_buried(reference: str) -> None:
    assert heard(report(client_ref=reference)) == NEITHER
    assert heard(report(client_ref=reference), parked=frozenset({"r-1"})) == []


def test_report_by_another_account_is_a_strangers() -> None:
    assert heard(report(account="beta")) == NEITHER
    assert heard(report(account="beta"), receipt_state="delivered") == [], "the attempt may have been given on since"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_ref": ""},  # it holds no report
        {"client_ref": stranger(timedelta(days=20))},  # its attempt may have been dropped
        {"client_ref": "", "provider_id": "p-9", "received_at": datetime.now(UTC) - timedelta(days=10)},
    ],
)
def test_report_of_which_nobody_can_tell_is_held_against_nobody(changes: dict[str, Any]) -> None:
    assert heard(report(**changes)) == []


def test_repeat_of_a_report_that_was_buried_is_not_passed_over() -> None:
    event = report(client_ref=stranger()).event
    passing = Passing(live_of(SENT), [Position("receipts", topics.RECEIPTS, 0, 10, 0, 10)], Traces())
    passing.saw_letter(event)
    passing.saw(replace(report(client_ref=stranger()), offset=4))
    assert passing.passed_over(frozenset()) == ()
