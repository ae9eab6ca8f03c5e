"""Holding the folded rows against the live ones. Pure.

The live snapshot is taken before the topics are read, and each verification is folded up to the live row's number of
events, so a system may go on working meanwhile: what was told since is not looked at, and what was committed before
is on the topics, or waits in the outbox and is told as waiting.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from watchword.kernel.ids import born_ms
from watchword.kernel.instant import from_us
from watchword.kernel.verification import AttemptState
from watchword.replay.changes import RESULT
from watchword.replay.fold import Fold, Folded, Life, folded
from watchword.replay.live import Live
from watchword.replay.rows import AttemptRow, VerificationRow

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
UNCOMMITTED = timedelta(seconds=20)
"""How long a change may be under way before it is committed: statement and lock timeouts, generously."""

_ALIKE = (
    "tenant", "number_token", "country", "range", "number_type", "purpose", "channel", "policy", "policy_version",
    "reference", "expires_at", "state", "end_reason", "sends_requested", "sends_assessed", "code_version",
)  # fmt: skip
_OPEN = frozenset({AttemptState.QUEUED.value, AttemptState.SENDING.value})


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One column in which fold and live differ. `row` is "verification" or "attempt"; "absent" stands for no row."""

    row: str
    id: str
    column: str
    folded: str
    live: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found. `compared` verifications were held against each other; `waiting` have events in the
    outbox; `beyond` are older than what topics or tables still hold; `untold_checks` were counted by a process that
    is about to tell, or did not live to."""

    compared: int
    differences: tuple[Difference, ...]
    waiting: tuple[str, ...] = ()
    beyond: int = 0
    untold_checks: int = 0


@dataclass
class _Found:
    differences: list[Difference] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    compared: int = 0
    beyond: int = 0
    untold_checks: int = 0


def compare(fold: Fold, live: Live, *, horizon: datetime = ALWAYS) -> Comparison:
    """Every verification of the snapshot against its fold, and those folded that the snapshot lacks.

    `horizon` is the moment before which some topic's records have been deleted.
    """
    found = _Found()
    attempts: dict[UUID, list[AttemptRow]] = {}
    for attempt in live.attempts.values():
        attempts.setdefault(attempt.verification_id, []).append(attempt)
    for identity, row in live.verifications.items():
        _one(found, row, attempts.get(identity, []), fold.lives.get(identity), live, horizon)
    found.differences += _strangers(fold, live)
    return Comparison(
        found.compared,
        tuple(sorted(found.differences)),
        tuple(sorted(found.waiting)),
        found.beyond,
        found.untold_checks,
    )


def born(identity: UUID) -> datetime:
    """When a time-ordered id was made."""
    return from_us(born_ms(identity) * 1_000)


def _one(
    found: _Found,
    row: VerificationRow,
    attempts: Iterable[AttemptRow],
    life: Life | None,
    live: Live,
    horizon: datetime,
) -> None:
    aged = born(row.id) < horizon
    missing = tuple(range(1, row.seq + 1)) if life is None else life.missing(row.seq)
    if missing and str(row.id) in live.waiting:
        found.waiting.append(str(row.id))
    elif missing and aged:
        found.beyond += 1
    elif life is None:
        found.differences.append(_verification(row, "*", "absent", row.state))
    else:
        known = folded(life, row.seq)
        found.compared += 1
        found.untold_checks += max(row.checks_used - known.verification.checks_used, 0)
        found.differences += _verifications(row, known)
        found.differences += _attempts({each.id: each for each in known.attempts}, {each.id: each for each in attempts})


def _verifications(row: VerificationRow, known: Folded) -> Iterator[Difference]:
    if known.missing:
        yield _verification(row, "seq", f"without {_numbers(known.missing)}", str(row.seq))
    for step in known.illegal:
        yield _verification(row, "state", f"not allowed: {step}", row.state)
    columns = _ALIKE if known.missing else (*_ALIKE, "sends_issued")
    for name in columns:
        if getattr(known.verification, name) != getattr(row, name):
            yield _verification(row, name, str(getattr(known.verification, name)), str(getattr(row, name)))
    # A check is counted before anything is compared: a process that died in between has told nothing of it.
    if known.verification.checks_used > row.checks_used:
        yield _verification(row, "checks_used", str(known.verification.checks_used), str(row.checks_used))


def _attempts(known: Mapping[UUID, AttemptRow], live: Mapping[UUID, AttemptRow]) -> Iterator[Difference]:
    for identity in sorted({*known, *live}):
        ours, theirs = known.get(identity), live.get(identity)
        if theirs is None:
            yield Difference("attempt", str(identity), "*", ours.state if ours else "", "absent")
        elif ours is None:
            # Another account took over at once: the attempt was claimed as it began, and a claim is told by nobody.
            if theirs.state != AttemptState.SENDING:
                yield Difference("attempt", str(identity), "*", "absent", theirs.state)
        else:
            yield from _attempt(ours, theirs)


def _attempt(ours: AttemptRow, theirs: AttemptRow) -> Iterator[Difference]:
    names: tuple[str, ...] = ("receipt_state",)
    if ours.state not in _OPEN:
        names += ("state", "send_no", "try_no", "recovery", *RESULT)
    elif theirs.state not in _OPEN:
        names += ("state",)
    for name in names:
        if getattr(ours, name) != getattr(theirs, name):
            yield Difference("attempt", str(ours.id), name, str(getattr(ours, name)), str(getattr(theirs, name)))


def _strangers(fold: Fold, live: Live) -> Iterator[Difference]:
    """Verifications that the topics tell of and the tables lack, though they should hold them by now."""
    for identity, life in fold.lives.items():
        if identity in live.verifications or born(identity) < live.kept_since:
            continue
        if born(identity) < live.at - UNCOMMITTED:
            yield Difference("verification", str(identity), "*", folded(life).verification.state, "absent")


def _verification(row: VerificationRow, column: str, ours: str, theirs: str) -> Difference:
    return Difference("verification", str(row.id), column, ours, theirs)


def _numbers(missing: tuple[int, ...]) -> str:
    shown = ", ".join(str(number) for number in missing[:10])
    return shown if len(missing) <= 10 else f"{shown}, …"
