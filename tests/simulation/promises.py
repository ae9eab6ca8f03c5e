"""What must hold of a history (guarantees.md, section 1): the audit's own questions, asked of the simulated tables and
topics, and what only somebody outside can know: what users were told and what phones got."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from tests.simulation.premises import CHECKS_MAX, ONCE_ONLY, SENDS_PER_10MIN
from tests.simulation.resting import ENDED_STATES, positions
from tests.simulation.tables import EPOCH, Row
from tests.simulation.users import Users
from tests.simulation.world import World
from watchword.audit.checks import audit
from watchword.audit.facts import Bounds, Codes, Facts, OpenAttempt, OutboxEvent, Parked
from watchword.audit.passing import Traces
from watchword.audit.reading import Reading
from watchword.audit.sightings import Canaries
from watchword.checks.decide import Result
from watchword.dead.letters import DEAD_TOPICS, letter_of
from watchword.replay.entry import entry_of
from watchword.replay.fold import Fold
from watchword.replay.live import Live
from watchword.replay.rows import ATTEMPT_COLUMNS, VERIFICATION_COLUMNS, AttemptRow, VerificationRow
from watchword.runtime.clock import REFRESH_S

GRACE = timedelta(seconds=30)
_CLOCKS_DIFFER_MAX = timedelta(milliseconds=50)
_CLOCKS_AGREE_WITHIN = timedelta(seconds=REFRESH_S)


def broken(users: Users) -> list[str]:
    """Every promise that was broken, in words; none where all is well. For a history that was settled."""
    return [*told_by_audit(users.world), *_outside(users), *_inside(users.world)]


def facts(world: World) -> Facts:
    """The history as the audit looks at one."""
    tables = world.database.tables
    attempts = {key: _attempt(row) for key, row in tables["attempts"].items()}
    live = Live(
        at=world.now(),
        kept_since=EPOCH - timedelta(days=1),
        verifications={key: _verification(row) for key, row in tables["verifications"].items()},
        attempts=attempts,
        waiting=frozenset((row["key"] or b"").decode() for row in tables["outbox"].values()),
        outbox_rows=len(tables["outbox"]),
    )
    reading = Reading(live, Fold(), Canaries(), positions(world), _traces(world))
    records = [record for place in sorted(world.broker.logs) for record in world.broker.logs[place]]
    for record in records:
        if record.topic in DEAD_TOPICS:
            reading.saw_letter(letter_of(record, record.topic))
    for record in records:
        if record.topic not in DEAD_TOPICS:
            reading.saw(entry_of(record, record.topic), record.key)
    noticed = reading.told(frozenset())
    return Facts(
        live=live,
        fold=reading.fold,
        grace=GRACE,
        at_rest=True,
        bounds={
            key: Bounds(row["checks_max"], row["rules"]["sends_max"]) for key, row in _rows(world, "verifications")
        },
        codes=_codes(world),
        open_attempts=tuple(_open_attempts(world)),
        outbox=tuple(
            OutboxEvent(key, row["topic"], (row["key"] or b"").decode(), row["created_at"])
            for key, row in _rows(world, "outbox")
        ),
        parked=tuple(Parked(key, row["parked_until"]) for key, row in _rows(world, "receipts_parked")),
        positions=noticed.positions,
        passed_over=noticed.passed_over,
        sightings=noticed.sightings,
        letters=noticed.letters,
        carrier=dict(world.carriers.sms),
    )


def _traces(world: World) -> Traces:
    """What receipts left; callbacks takes no part."""
    attempts = (row for _, row in _rows(world, "attempts"))
    return Traces(
        parked=frozenset(key.rpartition("/")[0] for key, _ in _rows(world, "receipts_parked")),
        in_parts=frozenset(row["id"] for row in attempts if row["receipt_parts"] and not row["receipt_state"]),
    )


def told_by_audit(world: World, only: Iterable[str] = ()) -> Iterator[str]:
    """What the audit finds now, of each of its checks or of `only` some."""
    for finding in audit(facts(world), only):
        for breach in finding.breaches:
            yield f"{finding.check} ({finding.promise}): {breach.id} {breach.told}"


def _outside(users: Users) -> Iterator[str]:
    """What platforms, users and phones can tell."""
    yield from _verifications(users)
    yield from _checks(users)
    for token, sends in users.sends.items():
        if sends > SENDS_PER_10MIN + 1:  # a fourth of what is allowed in ten minutes comes back in two and a half
            yield f"limits: {token} was granted {sends} sends"
    yield from _sms(users.world)


def _verifications(users: Users) -> Iterator[str]:
    for identity in users.accepted:
        row = users.row(identity)
        if row is None:
            yield f"A1: {identity} was promised and is not there"
        elif row["state"] not in ENDED_STATES:
            yield f"A1: {users.name(identity)} never ended, it is {row['state']}"
    for key, identities in users.under_key.items():
        if len(identities) > 1:
            yield f"{key} was answered with {len(identities)} verifications"
    for key in users.mixed:
        yield f"{key} got somebody else's answer"
    yield from _live_together(users.world)


def _live_together(world: World) -> Iterator[str]:
    """Of one number and purpose no two verifications were live at once. They are looked at in the order in which they
    were stored: a clock that jumps back gives the later one the earlier time."""
    newest: dict[Any, Row] = {}
    jumped = sum((abs(by) for _, by in world.jumps), _CLOCKS_DIFFER_MAX)
    for _, row in _rows(world, "verifications"):
        of = (row["number_token"], row["purpose"])
        before = newest.get(of)
        if before is not None and (before["ended_at"] is None or row["created_at"] < before["ended_at"] - jumped):
            yield f"A3: {row['id']} was begun while {before['id']} was live"
        newest[of] = row


def _checks(users: Users) -> Iterator[str]:
    for identity, told in users.told.items():
        if told[Result.APPROVED] > 1:
            yield f"A3: {users.name(identity)} was told approved {told[Result.APPROVED]} times"
        if told[Result.WRONG] + told[Result.APPROVED] > CHECKS_MAX:
            yield f"A3: {users.name(identity)} took {told[Result.WRONG]} wrong codes"
        # Whoever is told "expired" of a live verification has guessed as well, if it is approved after that.
        if told[Result.APPROVED] and told[Result.WRONG] + told[Result.EXPIRED] >= CHECKS_MAX:
            yield f"A3: {users.name(identity)} was approved after {CHECKS_MAX} wrong codes"


def _sms(world: World) -> Iterator[str]:
    carriers = world.carriers
    attempts = world.database.tables["attempts"]
    for passed in carriers.passed:
        row = attempts.get(passed.ref)
        if row is None:
            yield f"A11: {passed.ref} was sent and is no attempt"
            continue
        allowed = _jumped(world, passed.at)
        if passed.at - allowed >= row["send_deadline"]:
            yield f"{passed.ref} was sent {(passed.at - row['send_deadline']).total_seconds():.3f} s after its deadline"
    for (account, ref), _ in carriers.known.items():
        if account in ONCE_ONLY and carriers.sms[ref] > 1:
            yield f"A2: {ref} reached a phone {carriers.sms[ref]} times through {account}"


def _jumped(world: World, at: Any) -> timedelta:
    """How far the database's clock was set forward so shortly before that a worker may not have noticed."""
    jumps = [by for moment, by in world.jumps if moment - abs(by) <= at <= moment + abs(by) + _CLOCKS_AGREE_WITHIN]
    return timedelta(milliseconds=10) + sum((abs(by) for by in jumps), timedelta())


def _inside(world: World) -> Iterator[str]:
    """No process ended by itself, and nothing was left unheard."""
    for name, error in world.failures:
        yield f"{name} ended by itself: {error!r}"
    yield from world.loop.problems
    for record in _dead(world):
        if dict(record.headers)["wwd_reason"] in (b"bug", b"unreadable"):
            detail = dict(record.headers)["wwd_detail"]
            yield f"{record.topic}/{record.partition}/{record.offset} was buried: {detail!r}"


def _dead(world: World) -> Iterator[Any]:
    for place, log in world.broker.logs.items():
        if place.topic in DEAD_TOPICS:
            yield from log


def _rows(world: World, table: str) -> Iterable[tuple[Any, Row]]:
    return world.database.tables[table].items()


def _codes(world: World) -> dict[Any, Codes]:
    found: dict[Any, Codes] = {}
    for identity, version in world.database.tables["codes"]:
        known = found.get(identity, Codes(0, 0))
        found[identity] = Codes(known.count + 1, max(known.newest, version))
    return found


def _open_attempts(world: World) -> Iterator[OpenAttempt]:
    for key, row in _rows(world, "attempts"):
        if row["state"] in ("queued", "sending"):
            yield OpenAttempt(key, row["verification_id"], row["state"], row["lease_until"], row["send_deadline"])


def _verification(row: Row) -> VerificationRow:
    told: dict[str, Any] = {"requested_at": row["created_at"]}
    return VerificationRow(**{name: row[name] for name in VERIFICATION_COLUMNS if name not in told}, **told)


def _attempt(row: Row) -> AttemptRow:
    told: dict[str, Any] = {"receipt_state": row["receipt_state"] or ""}
    return AttemptRow(**{name: row[name] for name in ATTEMPT_COLUMNS if name not in told}, **told)
