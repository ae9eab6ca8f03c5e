"""A batch of records that is damaged on the broker's disk: nobody goes on behind it, and nothing is lost with it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support import kafka
from tests.support.alone import alone, died
from tests.support.damage import damaged
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.verification import shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.kernel.feature import Kind, feature_key
from watchword.runtime import mirror as mirrors
from watchword.runtime.clock import WallClock
from watchword.runtime.health import Health
from watchword.runtime.mirror import LevelMirror

RANGE = feature_key(Kind.RANGE, "+99890123", "shop")

pytestmark = pytest.mark.apache


@pytest.fixture
def disk(broker: kafka.Cluster) -> Path:
    """Where the run's broker keeps its topics."""
    if broker.data is None:
        pytest.skip("needs a broker that the run started by itself: here somebody else's would be damaged")
    return broker.data


async def test_a_damaged_batch_ends_its_reader_and_once_it_is_mended_everybody_is_served_once(
    stand: Pipeline, disk: Path
) -> None:
    """What was read before it in the same fetch is gone with it: committed behind it, it would be lost for good."""
    asked = [await stand.verification(number=f"+91987654321{last}") for last in range(4)]
    for about in asked:
        event = VerificationAssessed(
            **shared(about), send_no=1, action=Action.ALLOW, mode=Mode.ENFORCE, score=0, ruleset="test"
        )
        await stand.publish(event, subject=str(about.verification_id), ordinal=1)
    last = _behind_others(await stand.records(topics.ASSESSMENTS))
    with damaged(disk, last):
        async with alone(stand, "codes") as process:
            assert await died(process) == 1
        assert last.key.decode() not in {each.key for each in await stand.read(topics.DISPATCH)}
    async with stand.running("codes"):
        requests = await stand.told(topics.DISPATCH, count=len(asked))
        await stand.outbox_is_empty()
    assert sorted(each.key for each in requests) == sorted(str(about.verification_id) for about in asked)


def _behind_others(records: list[Any]) -> Any:
    """The last record of the partition that has most: four lie in two, so others are before it."""
    last = max(records, key=lambda record: record.offset)
    assert last.offset > 0
    return last


async def test_a_mirror_that_cannot_read_on_goes_on_where_it_was(stand: Pipeline, disk: Path) -> None:
    """It begins with a new connection as often as it has to, and reads nothing again: a long topic has an end."""
    await stand.publish_raw(topics.RISK_LEVELS, RANGE.encode(), b"not an event")
    sent = [
        await stand.producer.send(stand.cluster.topic_prefix + topics.RISK_LEVELS, None, key=RANGE.encode())
        for _ in range(mirrors._RECORDS_MAX)
    ]
    await asyncio.gather(*sent)
    blocked = RiskLevelSet(
        feature=RANGE, level=RiskLevel.BLOCKED, until=datetime.now(UTC) + timedelta(seconds=300), ruleset="test"
    )
    await stand.publish(blocked, subject=RANGE)
    health = Health()
    mirror = LevelMirror(stand.cluster, member="test", clock=WallClock(), check=health.check("mirror"))
    with capture_logs() as logged:
        with damaged(disk, (await stand.records(topics.RISK_LEVELS))[-1]):
            starting = asyncio.create_task(mirror.start())

            async def tried_again() -> bool:
                return _count(logged, "mirror.interrupted") >= 2

            await eventually(tried_again, within_s=20, what="the mirror to come to the damage twice")
            assert len(mirror) == 0
            assert not health.readiness()[0].ok
        try:
            await starting
            assert len(mirror) == 1
            assert health.readiness()[0].ok
        finally:
            await mirror.stop()
    assert _count(logged, "mirror.unreadable") == 1


def _count(logged: Any, event: str) -> int:
    return sum(line["event"] == event for line in logged)
