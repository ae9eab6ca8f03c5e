"""What users know against what the system holds: who was lost, who got too much, who was told what is not so. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.chaos.users import Kind, User

# Accounts by the class of their gateway (guarantees.md, section 4).
CLASSES: Mapping[str, str] = {
    "alpha": "dedupes", "beta": "dedupes", "asked": "asked", "form": "blind", "form-once": "held",
    "bound": "blind",
}  # fmt: skip
# These can tell whether they had a message, and are asked again under its reference. One that stays silent for as long
# as a user waits (25 s) leaves its attempt unknown; then another account may send, and the attempt says so.
CAN_TELL = frozenset({"dedupes", "asked"})
# What was called before its deadline may reach the carrier within the time that a call has.
CALL_TIMEOUT = timedelta(seconds=5)
ENDED_UNASKED = frozenset({"blocked", "failed", "expired", "cancelled"})
APPROVED = frozenset({"approved", "used"})
# An attempt in one of these says by itself why no phone has its message; `unknown` says that nobody can tell.
ACCOUNTED_FOR = frozenset({"rejected", "deferred", "skipped_late", "unknown"})


@dataclass(frozen=True, slots=True)
class Row:
    """A verification as the database has it."""

    id: str
    state: str
    reason: str
    sends: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt as the database has it."""

    id: str
    verification: str
    send_no: int
    account: str
    state: str
    send_deadline: datetime
    possible_duplicate: bool


@dataclass(frozen=True, slots=True)
class Sms:
    """A message that reached a phone."""

    reference: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is known when all is quiet."""

    users: Sequence[User]
    rows: Sequence[Row]
    attempts: Sequence[Attempt]
    sms: Sequence[Sms]


@dataclass
class Ledger:
    """The sums, and every promise that was broken, by name and with what shows it."""

    users: int = 0
    accepted: int = 0
    sent: int = 0
    lost: int = 0
    late: int = 0
    approved: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    sent_by_class: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    told_of_duplicates: Counter[str] = field(default_factory=Counter)
    without_code: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str]] = field(default_factory=list)


def judge(seen: Seen) -> Ledger:
    """Hold what users know against what the system holds."""
    rows = {row.id: row for row in seen.rows}
    sends = _by_send(seen.attempts)
    sms = Counter(each.reference for each in seen.sms)
    reached = {each.verification for each in seen.attempts if sms[each.id]}
    known = [user for user in seen.users if user.id]
    told = Ledger(users=len(seen.users), accepted=len(known), sent=len(seen.sms))
    told.refused.update(user.refused for user in seen.users if user.refused)
    told.ended.update(row.state for row in seen.rows)
    told.approved = told.ended["approved"]
    told.without_code = sum(user.id not in reached for user in known)
    in_doubt = {each.verification for each in seen.attempts if each.state == "unknown"}
    lost = [*_lost_users(known, rows, reached | in_doubt), *_lost_sends(rows, sends, sms)]
    told.lost = len({identity for identity, _ in lost})
    told.broken += [(f"lost: {what}", identity) for identity, what in lost]
    _count_duplicates(told, sends, sms)
    late = list(_late(seen))
    told.late = len(late)
    known_attempts = {each.id for each in seen.attempts}
    told.broken += [
        ("an SMS that no attempt accounts for", each.reference)
        for each in seen.sms
        if each.reference not in known_attempts
    ]
    told.broken += [("late: an SMS after its deadline", identity) for identity in late]
    told.broken += [each for user in known for each in _untrue(user, rows.get(user.id))]
    told.broken += [("approved without a user who typed the code", row.id) for row in _unasked(seen.users, rows)]
    return told


def _by_send(attempts: Iterable[Attempt]) -> Mapping[tuple[str, int], list[Attempt]]:
    found: defaultdict[tuple[str, int], list[Attempt]] = defaultdict(list)
    for each in attempts:
        found[each.verification, each.send_no].append(each)
    return found


def _lost_users(known: Iterable[User], rows: Mapping[str, Row], told: set[str]) -> Iterator[tuple[str, str]]:
    """Whoever was accepted is known, and has a message, an end that says why not, or an attempt of which it is told
    that nobody can say: then the user may ask once more."""
    for user in known:
        row = rows.get(user.id)
        if row is None:
            yield user.id, "accepted, and nobody knows it"
        elif user.id not in told and row.state not in ENDED_UNASKED:
            yield user.id, f"is {row.state}, and no message ever came"


def _lost_sends(
    rows: Mapping[str, Row], sends: Mapping[tuple[str, int], list[Attempt]], sms: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Every send reached the phone, or one of its attempts says why it did not."""
    for (identity, send_no), attempts in sends.items():
        row = rows.get(identity)
        states = {each.state for each in attempts}
        if row is None or any(sms.get(each.id, 0) for each in attempts) or states & ACCOUNTED_FOR:
            continue
        if row.state not in ENDED_UNASKED | APPROVED or "accepted" in states:
            yield identity, f"send {send_no} is {', '.join(sorted(states))}, and no phone has it"


def _count_duplicates(told: Ledger, sends: Mapping[tuple[str, int], list[Attempt]], sms: Mapping[str, int]) -> None:
    """Messages beyond the first of a send, by the class of gateway that sent the most of them."""
    for (identity, send_no), attempts in sends.items():
        by_class = Counter[str]()
        for each in attempts:
            by_class[CLASSES.get(each.account, "none")] += sms.get(each.id, 0)
        told.sent_by_class.update(by_class)
        extra = by_class.total() - 1
        if extra <= 0:
            continue
        kind = by_class.most_common(1)[0][0]
        told.duplicates[kind] += extra
        marked = sum(each.possible_duplicate for each in attempts)
        told.told_of_duplicates[kind] += marked
        silent = any(each.state == "unknown" for each in attempts)
        if kind == "held" or extra > marked or (kind in CAN_TELL and not silent):
            words = f"{kind}: {extra} SMS too many, {marked} accounted for"
            told.broken.append((f"duplicate through {words}", f"{identity} send {send_no}"))


def _late(seen: Seen) -> Iterator[str]:
    deadlines = {each.id: each.send_deadline for each in seen.attempts}
    for each in seen.sms:
        deadline = deadlines.get(each.reference)
        if deadline is not None and each.at > deadline + CALL_TIMEOUT:
            yield each.reference


def _untrue(user: User, row: Row | None) -> Iterator[tuple[str, str]]:
    """What a user was told, against what is."""
    approvals = sum(result == "approved" for result in user.checks)
    state = row.state if row is not None else "unknown"
    if approvals > 1:
        yield "two checks were told as right", user.id
    if approvals and state != "approved":
        yield f"told as approved, and it is {state}", user.id
    if approvals and not user.right_typed:
        yield "a wrong code was told as right", user.id
    if user.cancelled and state != "cancelled":
        yield f"told as cancelled, and it is {state}", user.id
    if not user.right_typed or user.kind is Kind.GUESSER or not user.checks:
        return
    last = user.checks[-1]
    if last == "used" and not user.unanswered:
        yield "the right code was told as used, and nobody had used it", user.id
    elif last not in APPROVED and not (last == "expired" and state == "expired"):
        yield f"the right code was told as {last}", user.id


def _unasked(users: Iterable[User], rows: Mapping[str, Row]) -> Iterator[Row]:
    typed = {user.id for user in users if user.right_typed}
    for row in rows.values():
        if row.state == "approved" and row.id not in typed:
            yield row
