"""The promises of the pipeline as questions to gathered facts. Pure: one function a promise.

What is older than the topics, or waits in the outbox, is not held against anybody; what is late by less than the
grace is not late.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from watchword.audit.facts import Breach, Facts, Finding
from watchword.audit.money import caps_are_kept
from watchword.audit.notes import notes
from watchword.audit.sight import SUBMITTED, folds_all, unseen
from watchword.events import topics
from watchword.kernel.verification import LIVE, MAY_HAVE_LEFT, AttemptState, State
from watchword.replay.compare import UNCOMMITTED, born, compare
from watchword.replay.fold import Folded, folded
from watchword.replay.rows import AttemptRow, VerificationRow

_LIVE = frozenset(state.value for state in LIVE)
_WITHOUT_CODE = frozenset({State.REQUESTED.value, State.BLOCKED.value})
_LEFT = frozenset(state.value for state in MAY_HAVE_LEFT) | {AttemptState.SENDING.value}

Check = Callable[[Facts], Iterable[Breach]]


def every_request_ends(facts: Facts) -> Iterator[Breach]:
    """A1: nothing lives longer than its life; whatever was taken from the inbox led to something."""
    for row in facts.live.verifications.values():
        if row.state in _LIVE and row.expires_at < facts.late:
            yield Breach(str(row.id), f"still {row.state}, its life ended at {row.expires_at:%Y-%m-%d %H:%M:%S}Z")
    keys = {event.key for event in facts.outbox}
    for each in () if facts.unseen.keys() & SUBMITTED else facts.submitted:
        if each.at < facts.late and not {each.id, each.place} & facts.answered and each.id not in keys:
            yield Breach(each.place, "was taken from the inbox and led to nothing")


def every_claim_is_resolved(facts: Facts) -> Iterator[Breach]:
    """A2: no attempt stays open beyond its verification, and carriers sent what the tables say they were given."""
    for attempt in facts.open_attempts:
        row = facts.live.verifications.get(attempt.verification_id)
        if row is not None and row.expires_at < facts.late:
            yield Breach(str(attempt.id), f"still {attempt.state}, long after its verification's life")
    if facts.carrier is not None:
        yield from _sent_and_told(facts.live.attempts.values(), facts.carrier)


def _sent_and_told(attempts: Iterable[AttemptRow], carrier: Mapping[str, int]) -> Iterator[Breach]:
    sms: dict[tuple[str, int], int] = {}
    allowed: dict[tuple[str, int], int] = {}
    for attempt in attempts:
        send = (str(attempt.verification_id), attempt.send_no)
        count = carrier.get(str(attempt.id), 0)
        sms[send] = sms.get(send, 0) + count
        allowed[send] = allowed.get(send, 1) + attempt.possible_duplicate
        if count and attempt.state not in _LEFT:
            yield Breach(str(attempt.id), f"told as {attempt.state}, yet a phone got {count} SMS")
    for send, count in sms.items():
        if count > allowed[send]:
            yield Breach(send[0], f"send {send[1]} reached the phone {count} times, {allowed[send]} accounted for")


def one_code_and_one_approval(facts: Facts) -> Iterator[Breach]:
    """A3: one live code, checks within their limit, one right check for each approval and none beside it."""
    for row in facts.live.verifications.values():
        codes, bounds = facts.codes.get(row.id), facts.bounds.get(row.id)
        newest, count = (codes.newest, codes.count) if codes else (0, 0)
        if (newest, count) != (row.code_version, row.code_version):
            yield Breach(
                str(row.id), f"code {row.code_version} is to be the live one, there are {count} up to {newest}"
            )
        if row.code_version == 0 and row.state in {State.ISSUED.value, State.APPROVED.value, State.LOCKED.value}:
            yield Breach(str(row.id), f"is {row.state} without a code")
        if bounds is not None and row.checks_used > bounds.checks_max:
            yield Breach(str(row.id), f"{row.checks_used} checks were counted, {bounds.checks_max} are allowed")
    for row, told in _whole(facts):
        approved = row.state == State.APPROVED
        if told.approvals != approved:
            yield Breach(str(row.id), f"is {row.state}, and {told.approvals} checks were told as right")


def one_id_for_each_transition(facts: Facts) -> Iterator[Breach]:
    """A4: each number and each fact of a verification was told under exactly one event id."""
    for identity, life in facts.fold.lives.items():
        for conflict in life.conflicts():
            yield Breach(str(identity), conflict)


def no_offset_runs_ahead(facts: Facts) -> Iterator[Breach]:
    """A5: no group committed what does not exist, lost what it had not read, or passed over what it had not done."""
    for each in facts.positions:
        place = f"{each.topic}/{each.partition}"
        if each.committed > each.end:
            yield Breach(place, f"group {each.group} committed {each.committed}, the partition ends at {each.end}")
        elif each.committed < each.first:
            lost = each.first - each.committed
            yield Breach(place, f"group {each.group} never read {lost} records, and they have been deleted")
    for place, told in facts.passed_over:
        if topics.dead(place.partition("/")[0]) not in facts.unseen:
            yield Breach(place, f"its offset is committed, but {told}")


def no_number_is_missing(facts: Facts) -> Iterator[Breach]:
    """A6: the events of a verification are numbered without a gap, up to what its row counts and no further."""
    if not folds_all(facts):
        return
    for row in facts.live.verifications.values():
        life = facts.fold.lives.get(row.id)
        if str(row.id) in facts.live.waiting or born(row.id) < facts.horizon:
            continue
        missing = tuple(range(1, row.seq + 1)) if life is None else life.missing(row.seq)
        if missing:
            numbers = ", ".join(map(str, missing[:10]))
            yield Breach(str(row.id), f"of {row.seq} events these are on no topic: {numbers}")
        if life is not None and life.last > row.seq and life.last_at < facts.live.at - UNCOMMITTED:
            yield Breach(str(row.id), f"event {life.last} is told, the row counts {row.seq}")


def topics_fold_to_the_tables(facts: Facts) -> Iterator[Breach]:
    """A7: state rebuilt from events is the state there is. Gaps are A6's."""
    if not folds_all(facts):
        return
    for each in compare(facts.fold, facts.live, horizon=facts.horizon).differences:
        if each.column != "seq":
            yield Breach(each.id, f"{each.row} {each.column}: folded {each.folded}, live {each.live}")


def nothing_secret_is_told(facts: Facts) -> Iterator[Breach]:
    """A8: no code and no clear number on any topic but the publisher's own."""
    for place, told in facts.sightings:
        yield Breach(place, told)


def nothing_is_left_lying(facts: Facts) -> Iterator[Breach]:
    """A9: the outbox empties, leases are kept, nobody falls behind. At rest there is nothing at all."""
    limit = facts.live.at if facts.at_rest else facts.late
    for event in facts.outbox:
        if event.created_at < limit:
            yield Breach(str(event.id), f"waits in the outbox for {event.topic} since {event.created_at:%H:%M:%S}Z")
    for parked in facts.parked:
        if parked.parked_until < facts.late:
            yield Breach(parked.id, f"is parked beyond {parked.parked_until:%H:%M:%S}Z")
    yield from _claims_past_their_lease(facts)
    for each in facts.positions:
        if each.waiting_since is not None and each.waiting_since < limit:
            behind_s = (facts.live.at - each.waiting_since).total_seconds()
            words = f"group {each.group} is {each.lag} records and {behind_s:.0f} s behind"
            yield Breach(f"{each.topic}/{each.partition}", words)


def _claims_past_their_lease(facts: Facts) -> Iterator[Breach]:
    for attempt in facts.open_attempts:
        if attempt.lease_until is None or attempt.state != AttemptState.SENDING:
            continue
        if facts.at_rest or attempt.lease_until < facts.late:
            yield Breach(str(attempt.id), f"is claimed, its lease ends at {attempt.lease_until:%H:%M:%S}Z")


def letters_are_what_was_poison(facts: Facts) -> Iterator[Breach]:
    """A10: a dead letter says why it is one, holds the bytes of the record it was, and was poison."""
    for letter in facts.letters:
        if not letter.reason:
            yield Breach(letter.place, "does not say why it was buried")
        if letter.intact is False:
            yield Breach(letter.place, "differs from the record it was made of")
        if letter.good and not letter.handled:
            yield Breach(letter.place, f"was buried for {letter.reason}, and it {letter.good}")


def every_send_is_on_the_books(facts: Facts) -> Iterator[Breach]:
    """A11: prices told and prices kept come to the same sums, no cap is overspent, no send is beyond its policy, none
    known to the carrier alone."""
    yield from _sums_that_differ(facts)
    yield from caps_are_kept(facts)
    for row in facts.live.verifications.values():
        bounds = facts.bounds.get(row.id)
        if bounds is not None and row.sends_requested > bounds.sends_max:
            yield Breach(str(row.id), f"{row.sends_requested} sends, {bounds.sends_max} are allowed")
    known = {str(identity) for identity in facts.live.attempts}
    for reference, count in (facts.carrier or {}).items():
        if count and reference not in known:
            yield Breach(reference, f"a carrier delivered {count} SMS under a reference that is no attempt")


def _sums_that_differ(facts: Facts) -> Iterator[Breach]:
    """By account and currency, over the attempts that topics and tables both hold."""
    kept: dict[tuple[str, str], int] = {}
    told: dict[tuple[str, str], int] = {}
    for _, known in _whole(facts):
        for attempt in known.attempts:
            mine = facts.live.attempts.get(attempt.id)
            if mine is not None:
                _add(told, attempt)
                _add(kept, mine)
    for account, currency in sorted({*kept, *told}):
        ours, theirs = told.get((account, currency), 0), kept.get((account, currency), 0)
        if ours != theirs:
            yield Breach(account, f"{ours} millionths of {currency} were told, {theirs} are kept")


def _add(sums: dict[tuple[str, str], int], attempt: AttemptRow) -> None:
    place = (attempt.account, attempt.currency)
    sums[place] = sums.get(place, 0) + attempt.price_micros


def _whole(facts: Facts) -> Iterator[tuple[VerificationRow, Folded]]:
    """The verifications of the snapshot that the topics tell of from beginning to end."""
    for row in facts.live.verifications.values():
        life = facts.fold.lives.get(row.id)
        if life is not None and not life.missing(row.seq):
            yield row, folded(life, row.seq)


CHECKS: Mapping[str, tuple[str, Check]] = {
    "A1": ("every accepted request reaches an end in time", every_request_ends),
    "A2": ("every claim is resolved, and nobody is sent more than is told", every_claim_is_resolved),
    "A3": ("one live code, one approval, checks within their limit", one_code_and_one_approval),
    "A4": ("each transition has one event id", one_id_for_each_transition),
    "A5": ("no committed offset runs ahead of the work", no_offset_runs_ahead),
    "A6": ("events are numbered without a gap", no_number_is_missing),
    "A7": ("the topics fold to the tables", topics_fold_to_the_tables),
    "A8": ("no code and no clear number on a topic", nothing_secret_is_told),
    "A9": ("nothing is left lying", nothing_is_left_lying),
    "A10": ("dead letters are what was poison", letters_are_what_was_poison),
    "A11": ("every send is on the books, and no cap is overspent", every_send_is_on_the_books),
}


def audit(facts: Facts, only: Iterable[str] = ()) -> list[Finding]:
    """What each check finds, or each of `only`. Raises KeyError for a check there is not."""
    return [_finding(name, facts) for name in list(only) or list(CHECKS)]


def _finding(name: str, facts: Facts) -> Finding:
    promise, check = CHECKS[name]
    breaches = tuple(sorted(set(check(facts))))
    return Finding(name, promise, breaches, tuple(notes(name, facts)), tuple(unseen(name, facts)))
