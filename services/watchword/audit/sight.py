"""What each check has to look at, and what of it could not be looked at. Pure.

A check that sees a part finds fewer breaches, never more: what it would have to hold against something unseen it holds
against nobody. So nothing may call a promise kept without saying what was not looked at.
"""

from collections.abc import Iterator, Mapping

from watchword import flow
from watchword.audit.facts import Facts
from watchword.audit.sightings import EXCEPTED
from watchword.events import topics
from watchword.replay.fold import FOLDED_TOPICS

SUBMITTED = frozenset({topics.INBOX, topics.dead(topics.INBOX), topics.REQUESTS, topics.RESULTS})
"""What says whether a request on the inbox led to something."""
_FOLDED = frozenset(FOLDED_TOPICS)
_TAKEN = frozenset(topic for taken in flow.GROUPS.values() for topic in taken)
_LOOKED_AT: Mapping[str, frozenset[str]] = {
    "A1": SUBMITTED,
    "A3": _FOLDED,
    "A4": _FOLDED,
    "A5": _TAKEN | {topics.dead(topic) for topic in _TAKEN},
    "A6": _FOLDED,
    "A7": _FOLDED,
    "A9": _TAKEN,
    "A10": frozenset({*topics.ALL, *map(topics.dead, topics.ALL)}),
    "A11": _FOLDED,
}
_ASK_CARRIERS = frozenset({"A2", "A11"})


def unseen(check: str, facts: Facts) -> Iterator[str]:
    """What `check` asks for and could not look at, each in words."""
    for topic, why in sorted(facts.unseen.items()):
        if topic in _LOOKED_AT.get(check, ()) or (check == "A8" and topic not in EXCEPTED):
            yield f"{topic} {why}"
    if check in _ASK_CARRIERS and facts.carrier is None:
        yield "what phones got: no carrier's ledger was asked"


def folds_all(facts: Facts) -> bool:
    """Whether every topic that is folded could be read: without one of them every verification would have gaps."""
    return not facts.unseen.keys() & _FOLDED
