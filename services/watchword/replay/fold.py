"""The state rebuilt from events alone. Pure: events in, rows out.

Topics are read in any order, so events are kept by their sequence number and applied when rows are asked for: the
result depends on which events were told, never on the order or the number of times they were read. What may follow
what is asked of kernel/verification.py, like everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from watchword.events import topics
from watchword.events.verification import Facts, VerificationEvent, shared
from watchword.kernel.verification import (
    ATTEMPT_TRANSITIONS,
    AttemptState,
    ReceiptState,
    State,
    Step,
    after,
    merge,
)
from watchword.replay.changes import (
    Asked,
    Assessed,
    Change,
    Checked,
    Ended,
    Issued,
    Made,
    Noted,
    Queued,
    Reported,
    change_of,
    fact_of,
)
from watchword.replay.rows import AttemptRow, VerificationRow

FOLDED_TOPICS = (
    topics.REQUESTS,
    topics.ASSESSMENTS,
    topics.DISPATCH,
    *(topic for _, topic in topics.RETRY_TIERS_S),
    topics.LIFECYCLE,
)
VERIFICATIONS_MAX = 2_000_000

_STEPS: Mapping[State, Step] = {
    State.APPROVED: Step.APPROVE,
    State.EXPIRED: Step.EXPIRE,
    State.CANCELLED: Step.CANCEL,
    State.LOCKED: Step.LOCK,
    State.BLOCKED: Step.BLOCK,
    State.FAILED: Step.FAIL,
}


class TooMany(Exception):
    """More verifications than one fold holds. How to narrow it is for the command to say, whose options they are."""


@dataclass(slots=True)
class Life:
    """What was told of one verification: changes by (sequence number, event id). `newest` is the highest number told
    and when."""

    facts: Facts
    facts_at: tuple[int, str]
    newest: tuple[int, datetime]
    told: dict[tuple[int, str], Change] = field(default_factory=dict)

    def add(self, at: tuple[int, str], event: VerificationEvent, told_at: datetime) -> None:
        """One counted event. A repeat changes nothing; the shared facts are those of the earliest event."""
        self.told[at] = change_of(event, told_at)
        self.newest = max(self.newest, (at[0], told_at))
        if at < self.facts_at:
            self.facts, self.facts_at = Facts(**shared(event)), at

    def missing(self, upto: int) -> tuple[int, ...]:
        """The sequence numbers from 1 to `upto` that were not told."""
        seen = {sequence for sequence, _ in self.told}
        return tuple(number for number in range(1, upto + 1) if number not in seen)

    @property
    def last(self) -> int:
        """The highest sequence number told."""
        return self.newest[0]

    @property
    def last_at(self) -> datetime:
        """When the event with the highest number was told."""
        return self.newest[1]

    def conflicts(self) -> list[str]:
        """Where two events claim one sequence number, or one fact was told under two ids or numbers."""
        by_number: dict[int, set[str]] = {}
        by_fact: dict[tuple[object, ...], set[tuple[int, str]]] = {}
        for (sequence, identity), change in self.told.items():
            by_number.setdefault(sequence, set()).add(identity)
            if fact := fact_of(change):
                by_fact.setdefault(fact, set()).add((sequence, identity))
        found = [f"seq {number} has {len(ids)} event ids" for number, ids in sorted(by_number.items()) if len(ids) > 1]
        twice = sorted(str(fact[0]) for fact, places in by_fact.items() if len(places) > 1)
        return found + [f"{name.lower()} was told twice" for name in twice]


@dataclass(frozen=True, slots=True)
class Folded:
    """The rows of one verification. `missing` are sequence numbers that were not told, `illegal` the steps that the
    transition table does not allow."""

    verification: VerificationRow
    attempts: tuple[AttemptRow, ...]
    missing: tuple[int, ...] = ()
    illegal: tuple[str, ...] = ()
    approvals: int = 0


class Fold:
    """Collects events and answers rows. `as_of` leaves out what was told later, `tenant` what is not that tenant's."""

    def __init__(self, *, as_of: datetime | None = None, tenant: str = "") -> None:
        self._as_of = as_of
        self._tenant = tenant
        self.lives: dict[UUID, Life] = {}

    def add(self, event: object, *, sequence: int, event_id: str, told_at: datetime) -> None:
        """One event as it was read; those that are about no verification, or not counted, change nothing.

        Raises TooMany.
        """
        if not isinstance(event, VerificationEvent) or sequence == 0 or (self._as_of and told_at > self._as_of):
            return
        if self._tenant and event.tenant != self._tenant:
            return
        at = (sequence, event_id)
        life = self.lives.get(event.verification_id)
        if life is None:
            if len(self.lives) >= VERIFICATIONS_MAX:
                raise TooMany(f"more than {VERIFICATIONS_MAX:,} verifications")
            life = self.lives[event.verification_id] = Life(Facts(**shared(event)), at, (sequence, told_at))
        life.add(at, event, told_at)

    def rows(self, upto: Mapping[UUID, int] | None = None) -> Iterator[Folded]:
        """The rows of every verification in id order, each folded up to its number in `upto` where it has one."""
        for identity in sorted(self.lives):
            yield folded(self.lives[identity], None if upto is None else upto.get(identity))


def folded(life: Life, upto: int | None = None) -> Folded:
    """The rows that the events of one verification lead to, in the order of their numbers. Of two events that claim
    one number the first by id counts; `conflicts` tells of both."""
    standing = _Standing(life.facts)
    for (sequence, _), change in sorted(life.told.items(), key=lambda item: item[0]):
        if sequence > standing.seq and (upto is None or sequence <= upto):
            standing.seq = sequence
            standing.apply(change)
    return standing.conclude(life.missing(life.last if upto is None else upto))


@dataclass(slots=True)
class _Standing:
    """A verification while its events are applied."""

    facts: Facts
    state: State = State.REQUESTED
    end_reason: str = ""
    seq: int = 0
    sends_requested: int = 0
    sends_assessed: int = 0
    sends_issued: int = 0
    code_version: int = 0
    checks_used: int = 0
    approvals: int = 0
    requested_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: dict[UUID, AttemptRow] = field(default_factory=dict)
    illegal: list[str] = field(default_factory=list)

    def apply(self, change: Change) -> None:
        """Take one change. Total: what is not allowed is noted, and taken as told."""
        match change:
            case Asked() | Assessed() | Issued():
                self._send(change)
            case Queued() | Made() | Reported():
                self._attempt(change)
            case Checked():
                self.checks_used = max(self.checks_used, change.check_no)
                self.approvals += change.approved
            case Ended():
                self._end(change)
            case Noted():
                return

    def conclude(self, missing: tuple[int, ...]) -> Folded:
        """The rows as they stand. A step across a missing event is not held against the others."""
        verification = VerificationRow(
            id=self.facts.verification_id,
            **{name: value for name, value in _facts(self.facts).items() if name != "verification_id"},
            state=self.state.value,
            end_reason=self.end_reason,
            seq=self.seq,
            sends_requested=self.sends_requested,
            sends_assessed=self.sends_assessed,
            sends_issued=self.sends_issued,
            code_version=self.code_version,
            checks_used=self.checks_used,
            requested_at=self.requested_at,
            ended_at=self.ended_at,
        )
        attempts = tuple(sorted(self.attempts.values(), key=lambda each: (each.send_no, each.try_no, each.id)))
        return Folded(verification, attempts, missing, () if missing else tuple(self.illegal), self.approvals)

    def _send(self, change: Asked | Assessed | Issued) -> None:
        match change:
            case Asked(send_no, at):
                self.sends_requested = max(self.sends_requested, send_no)
                self.requested_at = at if send_no == 1 else self.requested_at
            case Assessed(send_no):
                self.sends_assessed = max(self.sends_assessed, send_no)
            case Issued(version, send_no):
                if self.state is not State.ISSUED:
                    self._step(Step.ISSUE)
                self.code_version = max(self.code_version, version)
                self.sends_issued = max(self.sends_issued, send_no)

    def _end(self, change: Ended) -> None:
        self.checks_used = max(self.checks_used, change.checks_used)
        if change.state is None:
            self.illegal.append("an ending that this reader does not know")
            return
        self._step(_STEPS[change.state])
        self.state, self.end_reason, self.ended_at = change.state, change.reason, change.at

    def _step(self, step: Step) -> None:
        allowed = after(self.state, step)
        if allowed is None:
            self.illegal.append(f"{step} from {self.state}")
        else:
            self.state = allowed

    def _attempt(self, change: Queued | Made | Reported) -> None:
        known = self.attempts.get(change.attempt)
        row = known or AttemptRow(change.attempt, self.facts.verification_id, 0, 0, AttemptState.QUEUED)
        match change:
            case Queued():
                self.sends_issued = max(self.sends_issued, change.send_no)
                row = self._queued(row, change, known is None)
            case Made():
                row = self._made(row, change)
            case Reported():
                row = _reported(row, change)
        self.attempts[change.attempt] = row

    def _queued(self, row: AttemptRow, change: Queued, new: bool) -> AttemptRow:
        state = AttemptState(row.state)
        if not new and state is not AttemptState.QUEUED:
            self.illegal.append(f"attempt {row.id} queued again from {state}")
        recovery = max(row.recovery, change.recovery)
        return replace(row, send_no=change.send_no, try_no=change.try_no, recovery=recovery)

    def _made(self, row: AttemptRow, change: Made) -> AttemptRow:
        """A claim is told by nobody, so an attempt that waits may have been claimed meanwhile."""
        state = AttemptState(row.state)
        reachable = ATTEMPT_TRANSITIONS[state] | (
            ATTEMPT_TRANSITIONS[AttemptState.SENDING] if state is AttemptState.QUEUED else frozenset()
        )
        if change.state not in reachable:
            self.illegal.append(f"attempt {row.id} {change.state} from {state}")
        result: dict[str, Any] = dict(change.result)
        result["provider_id"] = result["provider_id"] or row.provider_id
        return replace(row, send_no=change.send_no, try_no=change.try_no, state=change.state.value, **result)


def _reported(row: AttemptRow, change: Reported) -> AttemptRow:
    """Receipts only raise; one for an attempt of unknown end tells that it left."""
    known = ReceiptState(row.receipt_state) if row.receipt_state else None
    left = row.state == AttemptState.UNKNOWN
    return replace(
        row,
        receipt_state=merge(known, change.state).value,
        provider_id=row.provider_id or change.provider_id,
        state=AttemptState.ACCEPTED.value if left else row.state,
    )


def _facts(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__struct_fields__}


def attempts_of(rows: Iterable[Folded]) -> Iterator[AttemptRow]:
    """Every attempt of some verifications."""
    for each in rows:
        yield from each.attempts


def as_record(row: VerificationRow | AttemptRow) -> tuple[Any, ...]:
    """The columns of a row in their order."""
    return tuple(asdict(row).values())
