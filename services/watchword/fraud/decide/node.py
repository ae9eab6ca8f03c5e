"""What is known of one feature: counts that fade, and the level that was told last.

Time is the time of the observations, in seconds since the epoch; nothing here asks a clock, so the same observations
give the same levels whenever they are read. A node is changed in place by the functions of this package alone.
"""

from functools import lru_cache
from math import exp2, log
from string import ascii_letters
from typing import Final, NamedTuple

import msgspec

from watchword.events.risk_level_set import RiskLevel
from watchword.kernel.feature import SOURCES, Kind

FAST_S: Final = 1_800.0
DAY_S: Final = 86_400.0
SLOW_S: Final = 604_800.0
PRESSURE_S: Final = 259_200.0
"""Half-lives of the counts and of the evidence."""

FAST_LIFE_S: Final = FAST_S / log(2)
DAY_LIFE_S: Final = DAY_S / log(2)
SLOW_LIFE_S: Final = SLOW_S / log(2)
"""A count that fades with a half-life holds the rate times this, in the long run."""

FADE_STEP_S: Final = 2.0
SLOW_STEP_S: Final = 120.0
"""Fast counts, and those of a day and more, fade in steps of at least so long: a thousandth of their half-lives."""

BASE_WINDOW_MIN_S: Final = 43_200.0
"""A past shorter than this says nothing yet."""

IDLE_S: Final = 3_600.0
CROWDED_IDLE_S: Final = 60.0
SPENT_IDLE_S: Final = 60.0
"""What says nothing any more is kept for as long as signals may be told again after a crash."""

OF_ONE_USER: Final = (Kind.NUMBER, Kind.PHONE)
"""The kinds of which nothing is left once their user is verified."""

_FADED: Final = 0.1

NOVELTY_MIN: Final = 20.0
"""Verified codes from which it can be said how many users come where nobody came before."""

RING: Final = 64
DIGEST: Final = 6

_FIELDS: Final = """
at_s faded_s fast slow verified_slow pressure until_s level day verified_fast settled_s wrong verified_day bare receipts
tried denied settled novel delays delay_mean delay_var born_s places proven_s reasons share beside cool_s strikes
struck_s ring
"""
WRITTEN_AS: Final = dict(zip(_FIELDS.split(), ascii_letters, strict=False))
"""The letter each field is written under. A new field comes last and never takes another's letter."""


class Node(msgspec.Struct, omit_defaults=True, rename=WRITTEN_AS.get, gc=False):
    """What is known of one feature. Fields are only ever added: nodes outlive their writers. Most nodes are of one user
    who came once: written is what they hold, each field under one letter, and not what they do not. What is read with
    every observation comes first, to lie side by side in memory.

    `at_s` is the newest observation's time, `faded_s` the time as of which the fast counts are,
    `settled_s` the slower ones. `fast`, `day`, `slow` count
    first sends that were let through, `verified_…` the codes verified; the slow ones only a little while the node is
    suspicious, so that an attack cannot teach it. `pressure` is the evidence of unverified sends. `delays`,
    `delay_mean`, `delay_var` describe the logarithm of the seconds until a code was verified. `bare` counts verified
    codes beyond receipts, `receipts` receipts, `denied` users the platform disowned, `wrong` codes typed wrong.
    `places` are where the last unverified sends went, or came from, and when. `strikes` counts blocks, `cool_s` is
    when the block ends at the latest, `until_s` when it ends if nobody tries; `reasons` are code, value, threshold and
    points of what was told, `share` what of the traffic is unexplained. `settled` counts the verified codes since
    there is a past, `novel` those of them that came where none had come before; `proven_s` is when it was told that
    users are verified here; `tried` counts what was asked for in a range, refused or not, `beside` what of it lay in a
    row that was asked for shortly before. `ring` remembers the last `RING` signals.
    """

    at_s: float = 0.0
    faded_s: float = 0.0
    fast: float = 0.0
    slow: float = 0.0
    verified_slow: float = 0.0
    pressure: float = 0.0
    until_s: float = 0.0
    level: RiskLevel = RiskLevel.NORMAL
    day: float = 0.0
    verified_fast: float = 0.0
    settled_s: float = 0.0
    wrong: float = 0.0
    verified_day: float = 0.0
    bare: float = 0.0
    receipts: float = 0.0
    tried: float = 0.0
    denied: float = 0.0
    settled: float = 0.0
    novel: float = 0.0
    delays: float = 0.0
    delay_mean: float = 0.0
    delay_var: float = 0.0
    born_s: float = 0.0
    places: dict[str, float] = {}
    proven_s: float = 0.0
    reasons: tuple[tuple[str, float, float, float], ...] = ()
    share: float = 0.0
    beside: float = 0.0
    cool_s: float = 0.0
    strikes: int = 0
    struck_s: float = 0.0
    ring: bytes = b""


_NEW: Final = Node()


def fade(node: Node, at_s: float) -> None:
    """The node as of `at_s`; one that is already further on stays as it is."""
    if at_s <= node.at_s:
        return
    if node.at_s == 0.0:
        node.at_s = node.born_s = node.faded_s = node.settled_s = at_s
        return
    node.at_s = at_s
    passed_s = at_s - node.faded_s
    if passed_s < FADE_STEP_S:
        return
    node.faded_s = at_s
    left = exp2(-passed_s / FAST_S)
    node.fast *= left
    node.verified_fast *= left
    if node.wrong:
        node.wrong *= left
    passed_s = at_s - node.settled_s
    if passed_s >= SLOW_STEP_S:
        node.settled_s = at_s
        _fade_slow(node, passed_s)


def _fade_slow(node: Node, passed_s: float) -> None:
    """The counts of a day and more. Half of the nodes hold nothing but their first sends: what is zero stays so."""
    left = exp2(-passed_s / DAY_S)
    node.day *= left
    if node.pressure:
        node.pressure *= exp2(-passed_s / PRESSURE_S)
    if node.verified_day:
        node.verified_day *= left
        node.bare *= left
    if node.denied:
        node.denied *= left
    if node.tried:
        node.tried *= left
        node.beside *= left
    if not (node.slow or node.verified_slow or node.receipts or node.settled):
        return
    left = exp2(-passed_s / SLOW_S)
    node.slow *= left
    node.verified_slow *= left
    if node.receipts:
        node.receipts *= left
    if node.settled:
        node.settled *= left
        node.novel *= left


def remember(node: Node, digest: bytes) -> bool:
    """Whether a signal is new to the node; from now on it is not. Without a digest everything is new."""
    if not digest:
        return True
    ring = node.ring
    found = ring.find(digest)
    while found >= 0 and found % DIGEST:
        found = ring.find(digest, found + 1)
    if found >= 0:
        return False
    node.ring = (ring + digest)[-RING * DIGEST :]
    return True


def says_nothing(node: Node) -> bool:
    """Whether a new node in its place would answer alike, but for signals that are told again. Not so where age counts:
    of digits and tenants."""
    return msgspec.structs.replace(node, at_s=0.0, faded_s=0.0, settled_s=0.0, born_s=0.0, ring=b"") == _NEW


def forgettable(kind: Kind, node: Node, now_s: float, *, crowded: bool) -> bool:
    """Whether nothing would be lost by dropping the node; when `crowded`, whether little would."""
    idle_s = now_s - node.at_s
    if node.level is RiskLevel.BLOCKED and now_s < node.until_s:
        return False
    if crowded:
        return idle_s > CROWDED_IDLE_S
    if kind in OF_ONE_USER and says_nothing(node):
        return idle_s > SPENT_IDLE_S
    if idle_s <= IDLE_S or (node.strikes and now_s - node.struck_s < DAY_S):
        return False
    if kind in SOURCES:
        return idle_s > DAY_S
    faded = exp2(-idle_s / PRESSURE_S) * node.pressure < _FADED
    return faded and exp2(-idle_s / SLOW_S) * (node.slow + node.verified_slow) < 1


class Past(NamedTuple):
    """`base` sends in `window_s` seconds, as `base_of` and `base_window_s` say."""

    base: float
    window_s: float


def past_of(node: Node) -> Past:
    """What the present of a node is measured by."""
    return Past(base_of(node), base_window_s(node))


@lru_cache(maxsize=1_024)
def evidence(expected: float, attack_share: float) -> tuple[float, float]:
    """What a send adds and what its verified code takes back, in natural log units, where the share `expected` of sends
    is verified and an attack leaves `attack_share` of that. What is expected of a tenant comes in few steps, so it is
    remembered."""
    step = log((1 - expected * attack_share) / (1 - expected))
    return step, step - log(attack_share)


def base_of(node: Node) -> float:
    """The sends of the past without the last day or so: what the present is measured by."""
    past = node.slow - node.day
    return past if past > 0.0 else 0.0


def base_window_s(node: Node) -> float:
    """The seconds that `base_of` stands for; grows with the node's age."""
    age_s = node.at_s - node.born_s
    return SLOW_LIFE_S * (1 - exp2(-age_s / SLOW_S)) - DAY_LIFE_S * (1 - exp2(-age_s / DAY_S))


def novelty(node: Node) -> float:
    """The share of users who come where nobody came before. 1 until enough of them are known."""
    return (node.novel + 0.3) / (node.settled + 1.0) if node.settled >= NOVELTY_MIN else 1.0


def learn_delay(node: Node, delay_s: float, memory: float) -> None:
    """One more delay between send and verification; the last `memory` or so weigh most."""
    value = log(delay_s if delay_s > 0.2 else 0.2)
    delays = node.delays = node.delays + 1 if node.delays < 999.0 else 1_000.0
    weight = 1 / (delays if delays < memory else memory)
    off = value - node.delay_mean
    node.delay_mean += weight * off
    node.delay_var += weight * (off * (value - node.delay_mean) - node.delay_var)
