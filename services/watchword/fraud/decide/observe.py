"""What a request or an ending tells about its features, and how a batch of it travels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from watchword.events.code_checked import CheckResult, CodeChecked
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Signals, VerificationEvent
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.fraud.decide import tenants
from watchword.fraud.decide.node import DIGEST
from watchword.fraud.decide.seen import Seen
from watchword.fraud.decide.subject import Subject, subject
from watchword.kernel.event import Emit
from watchword.kernel.feature import SOURCES, TRIE, Kind, feature_key, shard_of

OBSERVATIONS_MAX = 1_000
UNSORTED = -1
"""The shard of observations that are gathered before they are published, and sorted only then: many at once."""

_SUBJECT_BYTES = 16
_IDS_REMEMBERED = 2_048
_TRIE = frozenset(TRIE)
# Names of their own: a member of an enumeration costs a search, and this runs for every observation.
_REFUSED, _DELIVERED = SignalKind.REFUSED, SignalKind.DELIVERED
_TENANT, _RANGE, _NUMBER, _ASN = Kind.TENANT, Kind.RANGE, Kind.NUMBER, Kind.ASN
_IP_NET, _DEVICE, _ACCOUNT, _PHONE = Kind.IP_NET, Kind.DEVICE, Kind.ACCOUNT, Kind.PHONE
_VERIFIED = SignalKind.VERIFIED


class Known(NamedTuple):
    """The features of a verification, and the levels in force of them."""

    about: Subject
    levels: Mapping[Kind, RiskLevelSet]


def subject_of(event: VerificationEvent, signals: Signals) -> Subject:
    """The features of a verification; a kind it says nothing about is absent."""
    sources = {
        _IP_NET: signals.ip_net_token,
        _DEVICE: signals.device_token,
        _ACCOUNT: signals.account_token,
        _ASN: signals.owner_token,
        _NUMBER: event.number_token,
        _PHONE: signals.phone_token,
    }
    tails = (signals.block_token, signals.row_token) if signals.block_token and signals.row_token else ()
    return subject(event.tenant, event.country, event.range, tails, sources)


def counted_under(
    about: Subject, kind: SignalKind, levels: Mapping[Kind, RiskLevelSet], *, repeated: bool
) -> list[tuple[Kind, str, str]]:
    """Kind, feature and place of everything that one thing seen is counted under.

    A repeat counts for its number alone: one user without reception who asks five times is not five numbers. What was
    refused never counts; it only tells the features that refused it that somebody still tries. A message delivered
    counts for its range and above: an event of it says no more.
    """
    if kind is _REFUSED:
        refusing = [each for each in SOURCES if each in levels and levels[each].level is RiskLevel.BLOCKED]
        return [(about.leaf_kind, about.leaf, ""), *((each, about.features[each], "") for each in refusing)]
    if repeated:
        return [each for each in about.sources if each[0] is _NUMBER]
    if kind is _DELIVERED:
        return [(_RANGE, about.features[_RANGE], "")]
    tenant = (_TENANT, about.features[_TENANT], "")
    return [tenant, (about.leaf_kind, about.leaf, about.number), *about.sources]


def figures_of(told: RiskLevelSet | None) -> tuple[float, float]:
    """The share of a tenant's sends expected to be verified, and its surge, as last told; 0 for not told."""
    expected = surge = 0.0
    for reason in told.reasons if told is not None else ():
        if reason.code == tenants.EXPECTED:
            expected = reason.value
        elif reason.code == tenants.SURGE:
            surge = reason.value
    return expected, surge


def of_send(
    about: Subject, kind: SignalKind, levels: Mapping[Kind, RiskLevelSet], identity: str, send_no: int, at: datetime
) -> tuple[Emit, ...]:
    """A send that fraud let through, or one that it refused."""
    return _outcome(about, kind, levels, f"{kind.value}:{identity}:{send_no}", at, repeated=send_no > 1)


def of_ending(event: VerificationEnded, known: Known | None, at: datetime) -> tuple[Emit, ...]:
    """A verification that ended with the right code. Every other ending says nothing new: its send was counted."""
    if event.state is not Ending.APPROVED:
        return ()
    delay_s = max((at - event.requested_at).total_seconds(), 0.0)
    about, levels = known or Known(subject_of(event, event.signals), {})
    return _outcome(about, _VERIFIED, levels, f"ended:{event.verification_id}", at, delay_s)


def of_feedback(event: FeedbackGiven, known: Known | None, at: datetime) -> tuple[Emit, ...]:
    """What the platform says of a user who was sent a code. A changed mind is another observation."""
    if not event.sent:
        return ()
    kind = SignalKind.CONFIRMED if event.good else SignalKind.DENIED
    signal_id = f"feedback:{event.verification_id}:{event.feedback_no}"
    about, levels = known or Known(subject_of(event, event.signals), {})
    return _outcome(about, kind, levels, signal_id, at)


def of_step(event: CodeChecked | ReceiptRecorded, at: datetime) -> tuple[Emit, ...]:
    """A wrong code, or a receipt that says delivered, which tells nothing of who asked and counts for the range."""
    if isinstance(event, CodeChecked):
        if event.result is not CheckResult.WRONG:
            return ()
        signal_id = f"wrong:{event.verification_id}:{event.check_no}"
        return _outcome(subject_of(event, event.signals), SignalKind.WRONG, {}, signal_id, at)
    if event.state is not ReceiptWord.DELIVERED:
        return ()
    leaf = feature_key(_RANGE, event.range, event.tenant)
    about = Subject(event.tenant, event.country, _RANGE, leaf, place="", number="", sources=(), features={_RANGE: leaf})
    return _outcome(about, _DELIVERED, {}, f"delivered:{event.verification_id}", at)


def _outcome(
    about: Subject,
    kind: SignalKind,
    levels: Mapping[Kind, RiskLevelSet],
    signal_id: str,
    at: datetime,
    delay_s: float = -1.0,
    *,
    repeated: bool = False,
) -> tuple[Emit, ...]:
    expected, surge = figures_of(levels.get(Kind.TENANT))
    suspect, novel = is_suspect(levels), is_novel(about, levels)
    seen = [
        Observation(
            feature=feature,
            kind=kind,
            at=at,
            signal_id=signal_id,
            country=about.country,
            place=place,
            expected=expected,
            surge=surge,
            delay_s=delay_s,
            suspect=suspect,
            novel=novel,
        )
        for _, feature, place in counted_under(about, kind, levels, repeated=repeated)
    ]
    return (Emit(SignalObserved(shard=UNSORTED, observations=tuple(seen)), f"signals:{signal_id}", counted=False),)


def seen_of(observation: Observation) -> Seen:
    """An observation as nodes take it."""
    return Seen(
        kind=observation.kind,
        at_s=observation.at.timestamp(),
        country=observation.country,
        expected=observation.expected,
        surge=observation.surge,
        delay_s=observation.delay_s,
        place=observation.place,
        suspect=observation.suspect,
        novel=observation.novel,
        digest=_digest_of(observation.signal_id),
    )


@lru_cache(maxsize=_IDS_REMEMBERED)
def _digest_of(signal_id: str) -> bytes:
    """One thing seen is observed of up to eight features, in as many events of a batch."""
    return blake2b(signal_id.encode(), digest_size=DIGEST).digest()


def is_suspect(levels: Mapping[Kind, RiskLevelSet]) -> bool:
    """Whether something piles up where a request goes."""
    for kind, told in levels.items():
        if kind in _TRIE:
            for reason in told.reasons:
                if reason.weight:
                    return True
    return False


def is_novel(about: Subject, levels: Mapping[Kind, RiskLevelSet]) -> bool:
    """Whether a request comes from networks of which is known whose they are, but of no user verified there."""
    return _ASN in about.features and _ASN not in levels


def by_shard(observations: Iterable[Observation]) -> dict[int, list[Observation]]:
    """Observations sorted by the shard in which their features travel."""
    sorted_: dict[int, list[Observation]] = defaultdict(list)
    for seen in observations:
        sorted_[shard_of(seen.feature)].append(seen)
    return sorted_


def merged(observations: Mapping[int, Sequence[Observation]]) -> list[Emit]:
    """Observations by shard as events of one shard each (decision 0002), `OBSERVATIONS_MAX` at most. An event's id
    follows from what it holds."""
    emits = []
    for shard, seen in observations.items():
        for start in range(0, len(seen), OBSERVATIONS_MAX):
            part = seen[start : start + OBSERVATIONS_MAX]
            emits.append(_emit(shard, part, _digest(part)))
    return emits


def _emit(shard: int, observations: Sequence[Observation], named: str) -> Emit:
    event = SignalObserved(shard=shard, observations=tuple(observations))
    return Emit(event, f"signals:{shard}:{named}", key=str(shard), counted=False)


def _digest(observations: Sequence[Observation]) -> str:
    held = "".join(f"{seen.feature} {seen.signal_id}\n" for seen in observations)
    return blake2b(held.encode(), digest_size=_SUBJECT_BYTES).hexdigest()
