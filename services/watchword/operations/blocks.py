"""What fraud blocks now, read from the topic that every mirror follows, and what was said of one verification."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from watchword.events import envelope as envelopes
from watchword.events import topics
from watchword.events.catalog import UnreadableEvent, decode
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification_assessed import VerificationAssessed
from watchword.fraud.lifting import Lifted
from watchword.kernel.event import Event
from watchword.kernel.ids import born_ms
from watchword.replay.reading import Log
from watchword.runtime.kafka import Cluster

SCORE_MAX = 100.0
ASSESSED_WITHIN = timedelta(hours=1)


class Block(msgspec.Struct, frozen=True):
    """One feature that is blocked. `since` is the earliest word of this block that the topic still holds; `lifted` says
    by whom, where an operator lifted it, so that it refuses nobody."""

    feature: str
    since: datetime
    until: datetime
    score: float
    ruleset: str
    reasons: tuple[Reason, ...]
    lifted: Lifted | None = None


class Levels:
    """The newest word on every feature, and since when it is blocked."""

    def __init__(self) -> None:
        self._blocked: dict[str, tuple[datetime, RiskLevelSet]] = {}

    def take(self, feature: str, told: RiskLevelSet | None, at: datetime) -> None:
        """One record, in the order of its partition; None takes the feature out."""
        if told is None or told.level is not RiskLevel.BLOCKED:
            self._blocked.pop(feature, None)
            return
        since, before = self._blocked.get(feature, (at, told))
        self._blocked[feature] = (since if at < before.until else at, told)

    def blocks(self, now: datetime, lifted: Iterable[Lifted]) -> list[Block]:
        """What is blocked at `now`, the newest first."""
        by_feature = {each.feature: each for each in lifted}
        found = [
            Block(
                feature,
                since,
                told.until,
                min(sum(reason.weight for reason in told.reasons), SCORE_MAX),
                told.ruleset,
                told.reasons,
                by_feature.get(feature),
            )
            for feature, (since, told) in self._blocked.items()
            if now < told.until
        ]
        return sorted(found, key=lambda block: (block.since, block.feature), reverse=True)


async def levels(cluster: Cluster) -> Levels:
    """What the topic says up to its present end. Raises what reading raises."""
    found = Levels()
    async with Log(cluster) as log:
        async for records in log.read(await log.slices([topics.RISK_LEVELS])):
            for record in records:
                event, at = _read(record)
                if record.value is None or isinstance(event, RiskLevelSet):
                    told = event if isinstance(event, RiskLevelSet) else None
                    found.take((record.key or b"").decode("utf-8", "replace"), told, at)
    return found


async def assessments(cluster: Cluster, verification: UUID) -> list[VerificationAssessed]:
    """What was said of the sends of one verification, in their order. Raises what reading raises."""
    born = datetime.fromtimestamp(born_ms(verification) / 1_000, UTC)
    found: dict[int, VerificationAssessed] = {}
    async with Log(cluster) as log:
        slices = await log.slices(
            [topics.ASSESSMENTS],
            since=born - ASSESSED_WITHIN / 60,
            until=born + ASSESSED_WITHIN,
            keys={topics.ASSESSMENTS: str(verification)},
        )
        async for records in log.read(slices):
            for record in records:
                if record.key == str(verification).encode():
                    event, _ = _read(record)
                    if isinstance(event, VerificationAssessed):
                        found.setdefault(event.send_no, event)
    return [found[number] for number in sorted(found)]


def _read(record: Any) -> tuple[Event | None, datetime]:
    """The event of a record and when it was told; no event for what cannot be read, or says nothing."""
    appended = datetime.fromtimestamp(record.timestamp / 1_000, UTC)
    if record.value is None:
        return None, appended
    try:
        told = envelopes.read(record.headers)
        return decode(told.type, record.value), told.time
    except (UnreadableEvent, ValueError):
        return None, appended
