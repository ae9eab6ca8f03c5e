"""What a request or an ending tells about its features, and how a batch of it travels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Signals, VerificationEvent
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.kernel.event import Emit
from watchword.kernel.feature import PILE_UPS, Kind, feature_key, shard_of

OBSERVATIONS_MAX = 1_000
_SUBJECT_BYTES = 16
_OUTCOMES = {
    Ending.APPROVED: SignalKind.VERIFIED,
    Ending.EXPIRED: SignalKind.UNVERIFIED,
    Ending.FAILED: SignalKind.UNVERIFIED,
    Ending.LOCKED: SignalKind.UNVERIFIED,
}


def features_in(event: VerificationEvent, signals: Signals) -> dict[Kind, str]:
    """The feature keys of a verification; a kind it says nothing about is absent."""
    values = {
        Kind.RANGE: event.range,
        Kind.COUNTRY: event.country,
        Kind.IP_NET: signals.ip_net_token,
        Kind.DEVICE: signals.device_token,
    }
    return {kind: feature_key(kind, value, event.tenant) for kind, value in values.items() if value}


def of_send(features: Mapping[Kind, str], verification: UUID, send_no: int, at: datetime) -> tuple[Emit, ...]:
    """A send that fraud let through.

    Ranges and countries count the first send of a verification only: one user without reception who asks five times
    is not five numbers. Networks and devices count every send. A send that was blocked is never observed: a feature
    that fed on its own blocks would never recover.
    """
    counted = [key for kind, key in features.items() if send_no == 1 or kind not in PILE_UPS]
    return _emitted(counted, SignalKind.SENT, f"sent:{verification}:{send_no}", at)


def of_ending(event: VerificationEnded, at: datetime) -> tuple[Emit, ...]:
    """A verification that ended: verified, or unverified. A blocked or a cancelled one says nothing."""
    outcome = _OUTCOMES.get(event.state)
    if outcome is None:
        return ()
    features = features_in(event, event.signals)
    return _emitted(features.values(), outcome, f"ended:{event.verification_id}", at)


def merged(observations: Mapping[int, Sequence[Observation]]) -> list[Emit]:
    """Observations by shard as events of one shard each (decision 0002), `OBSERVATIONS_MAX` at most. An event's id
    follows from what it holds."""
    emits = []
    for shard, seen in observations.items():
        for start in range(0, len(seen), OBSERVATIONS_MAX):
            part = seen[start : start + OBSERVATIONS_MAX]
            emits.append(_emit(shard, part, _digest(part)))
    return emits


def _emitted(features: Iterable[str], kind: SignalKind, signal_id: str, at: datetime) -> tuple[Emit, ...]:
    by_shard: dict[int, list[Observation]] = defaultdict(list)
    for feature in features:
        seen = Observation(feature=feature, kind=kind, at=at, signal_id=signal_id)
        by_shard[shard_of(feature)].append(seen)
    return tuple(_emit(shard, observations, signal_id) for shard, observations in by_shard.items())


def _emit(shard: int, observations: Sequence[Observation], named: str) -> Emit:
    event = SignalObserved(shard=shard, observations=tuple(observations))
    return Emit(event, f"signals:{shard}:{named}", key=str(shard), counted=False)


def _digest(observations: Sequence[Observation]) -> str:
    digest = blake2b(digest_size=_SUBJECT_BYTES)
    for seen in observations:
        digest.update(f"{seen.feature} {seen.signal_id}\n".encode())
    return digest.hexdigest()
