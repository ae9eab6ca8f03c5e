"""What is worth knowing beside what breaks a promise. Pure."""

from collections.abc import Iterator

from watchword.audit.facts import Facts
from watchword.audit.money import is_whole
from watchword.audit.sight import folds_all
from watchword.replay.compare import born, compare


def notes(check: str, facts: Facts) -> Iterator[str]:
    """What is worth knowing beside the breaches of one check."""
    match check:
        case "A6":
            aged = sum(born(identity) < facts.horizon for identity in facts.live.verifications)
            yield from (f"{aged:,} are older than the topics" for _ in range(min(aged, 1)))
        case "A7" if folds_all(facts):
            yield from _compared(facts)
        case "A9":
            yield from (f"group {name} is {lag:,} records behind" for name, lag in _lags(facts) if lag)
        case "A10":
            yield from _letters_by_reason(facts)
        case "A11":
            old = sum(not is_whole(each, facts) for each in facts.counters)
            yield from (f"{len(facts.counters):,} counters of caps compared" for _ in facts.counters[:1])
            yield from (f"{old:,} of them began before what was looked at" for _ in range(min(old, 1)))


def _compared(facts: Facts) -> Iterator[str]:
    told = compare(facts.fold, facts.live, horizon=facts.horizon)
    yield f"{told.compared:,} verifications compared"
    yield from (f"{len(told.waiting):,} wait for the outbox" for _ in told.waiting[:1])
    yield from (f"{told.beyond:,} are older than the topics" for _ in range(min(told.beyond, 1)))
    yield from (f"{told.untold_checks:,} checks counted and not told" for _ in range(min(told.untold_checks, 1)))


def _lags(facts: Facts) -> list[tuple[str, int]]:
    lags: dict[str, int] = {}
    for each in facts.positions:
        lags[each.group] = lags.get(each.group, 0) + each.lag
    return sorted(lags.items())


def _letters_by_reason(facts: Facts) -> Iterator[str]:
    counts: dict[tuple[str, str], list[bool]] = {}
    for letter in facts.letters:
        if not letter.handled:
            counts.setdefault((letter.place.split("/")[0], letter.reason or "(none)"), []).append(letter.readable)
    for (topic, reason), readable in sorted(counts.items()):
        again = f", {sum(readable)} of them could be read now" if reason == "unreadable" and any(readable) else ""
        yield f"{topic}: {len(readable)} for {reason}{again}"
