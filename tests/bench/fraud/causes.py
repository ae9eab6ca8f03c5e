"""Which of our reasons name the cause of an attack: what an operator who reads one would rightly look for. Written from
what each attack does (`attacks.py`), not from what the scorer answers. A public rule has one reason for everything it
refuses, so only an engine with several is judged by them.

Of an attacker who types part of his codes in, what he does not type is as true a cause as that he types, where it is
more than users leave: two codes of five that never come pile up in a country whose users type nine of ten, before
there are codes enough to show a clock. Where users type half of theirs in, the same two of five are nothing, and a
pile-up is the wrong reason there. So it depends on the country, and holds for the range and what lies below it: that
the country piles up is said of users as well, and names no range. With 95 % typed in nothing piles up anywhere."""

from typing import NamedTuple

from watchword.fraud.decide.rules import Rule


class Cause(NamedTuple):
    """The reasons that name what an attack does, and why no others do. `missed` name it too in a country where users
    type more than the share `typed` of their codes in."""

    rules: frozenset[Rule]
    why: str
    missed: frozenset[Rule] = frozenset()
    typed: float = 1.0


_PILED_UP = frozenset({Rule.RANGE_UNVERIFIED_PILEUP, Rule.COUNTRY_UNVERIFIED_PILEUP})
_FAKED = frozenset(
    {
        *(Rule.RANGE_VOLUME_SURPRISE, Rule.VERIFY_TIMING_UNIFORM),
        *(Rule.VERIFIED_WITHOUT_RECEIPT, Rule.DOWNSTREAM_DENIED),
    }
)
_BLOCK = frozenset({Rule.RANGE_UNVERIFIED_PILEUP, Rule.RANGE_VOLUME_SURPRISE})
_HIDDEN = _PILED_UP | {Rule.IP_VELOCITY}
_ADDRESS = frozenset({Rule.IP_VELOCITY})

_SPRAYED = _PILED_UP | {Rule.RANGE_NOVEL}

CAUSES = {
    "A": Cause(_BLOCK, "One block of digits gets many sends and no codes back; the country at large does not."),
    "B": Cause(frozenset({Rule.SEQUENTIAL_SUFFIX}), "Its numbers follow each other: without that word it is A."),
    "C": Cause(_SPRAYED, "Many ranges of a country where nobody was ever verified, a few sends each."),
    "D": Cause(_SPRAYED, "As C, in fewer ranges and for days; no hour of it is a surprise."),
    "E": Cause(_HIDDEN, "The country's own ranges see more that is not verified, asked for from a pool of addresses."),
    "F20": Cause(_FAKED | {Rule.RANGE_UNVERIFIED_PILEUP}, "Four codes of five never come, the fifth by a clock."),
    "F60": Cause(
        _FAKED,
        "Most codes come back, by a clock; the others never do, which shows where users type more of theirs.",
        missed=frozenset({Rule.RANGE_UNVERIFIED_PILEUP}),
        typed=0.6,
    ),
    "F95": Cause(_FAKED, "Nearly all codes come back: only volume, the clock, receipts and the platform tell."),
    "G": Cause(_ADDRESS, "All of it comes from one address; where it goes is spread on purpose."),
    "H": Cause(frozenset({Rule.NUMBER_VELOCITY}), "One number is asked for again and again, its neighbours never."),
    "I": Cause(frozenset({Rule.GUESS_BUDGET}), "Wrong codes are typed; how often somebody asks is a means to that."),
    "J": Cause(frozenset({Rule.GUESS_BUDGET, Rule.NUMBER_VELOCITY}), "Wrong codes for one number, asked for for days."),
    "K": Cause(frozenset(), "Nothing a scorer is told gives it away: it is hit by chance, and no reason is right."),
    "L": Cause(
        _SPRAYED | {Rule.COUNTRY_NOT_PERMITTED}, "A country the tenant never sends to; no address, no device is told."
    ),
    "M": Cause(_SPRAYED, "One range after the other, all new and all of one country."),
    "N": Cause(_BLOCK, "A against a range made to look good first: it is not new."),
    "P": Cause(frozenset({Rule.NUMBER_VELOCITY}), "As H: one number, though no platform sees much of it."),
    "O": Cause(_BLOCK | _HIDDEN | _ADDRESS, "A, E and G at once: each request belongs to one of them."),
}
"""The cause of every family, F by the share it fakes."""


def names_cause(label: str, reason: str, conversion: float = 0.0) -> bool:
    """Whether a reason names what the attack `label` does in a country where users type in `conversion` of their codes,
    0 for none that is known."""
    cause = CAUSES[label]
    return reason in cause.rules or (conversion > cause.typed and reason in cause.missed)
