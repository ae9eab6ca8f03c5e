"""The judge as a process of its own, killed as by a power cut: its table comes back, nothing counts twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.alone import KILLED, alone, died
from tests.support.deaths import points
from tests.support.pipeline import PARTITIONS, Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.kernel.feature import Kind, feature_key, shard_of

RANGE = feature_key(Kind.RANGE, "+99890123", "shop")
# The same digits of a tenant whose signals travel in the same shard: once it is judged, all before it has been.
MARKER = next(
    marker
    for number in range(10_000)
    if shard_of(marker := feature_key(Kind.RANGE, "+99890123", f"shop-{number}")) == shard_of(RANGE)
)
POINTS = points("judge", "weighed", "told", "kept", "dropped")


async def tell(stand: Pipeline, *numbers: int, feature: str = RANGE) -> None:
    now = datetime.now(UTC)
    seen = tuple(Observation(feature=feature, kind=SignalKind.SENT, at=now, signal_id=f"sent:{n}:1") for n in numbers)
    event = SignalObserved(shard=shard_of(feature), observations=seen)
    await stand.publish(event, subject=f"signals:{feature}:{numbers}", key=str(shard_of(feature)))


async def levels(stand: Pipeline, wanted: RiskLevel, *, at_least: int = 1) -> list[RiskLevelSet]:
    async def told() -> list[RiskLevelSet]:
        events = [each.event for each in await stand.read(topics.RISK_LEVELS)]
        found = [each for each in events if isinstance(each, RiskLevelSet) and each.level is wanted]
        return found if len(found) >= at_least else []

    return await eventually(told, within_s=45, what=f"{at_least} levels {wanted.value}")


@asynccontextmanager
async def committed(stand: Pipeline) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """How many signals the judge has not committed yet, whenever asked."""
    topic = stand.cluster.topic_prefix + topics.SIGNALS
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        **stand.cluster.options(), group_id=f"{stand.cluster.group_prefix}judge", enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign(partitions)

    async def behind() -> int:
        ends = await consumer.end_offsets(partitions)
        reached = [await consumer.committed(each) or 0 for each in partitions]
        return int(sum(ends.values())) - sum(reached)

    try:
        yield behind
    finally:
        await consumer.stop()


async def test_a_judge_that_was_killed_still_knows_what_it_saw(stand: Pipeline) -> None:
    """Nine sends without a code block a range: seven before the kill and two after it, and no repeat is one of them.
    Those before it are committed, and read by nobody again: what is known of them is the table's changelog."""
    async with committed(stand) as behind, alone(stand, "judge") as process:

        async def caught_up() -> bool:
            return await behind() == 0

        await tell(stand, *range(7))
        await levels(stand, RiskLevel.ELEVATED)
        await eventually(caught_up, within_s=20, what="everything to be committed")
        process.kill()
        await process.wait()
    async with alone(stand, "judge"):
        await tell(stand, 5, 6)
        await tell(stand, *range(9), feature=MARKER)
        [marker] = await levels(stand, RiskLevel.BLOCKED)
        assert marker.feature == MARKER, "the repeats were read before the marker, and counted"
        await tell(stand, 7, 8)
        both = await levels(stand, RiskLevel.BLOCKED, at_least=2)
    assert {each.feature for each in both} == {RANGE, MARKER}


async def test_a_judge_that_comes_back_to_waiting_signals_has_committed_them_soon(stand: Pipeline) -> None:
    """Killed before it committed anything: it used to lose sight of what had waited until the next restart."""
    async with committed(stand) as behind:

        async def caught_up() -> bool:
            return await behind() == 0

        async with alone(stand, "judge"):
            await tell(stand, *range(7))
            await levels(stand, RiskLevel.ELEVATED)
        await asyncio.gather(*(tell(stand, number) for number in range(100, 300)))
        async with alone(stand, "judge"):
            await eventually(caught_up, within_s=20, what="everything to be committed")


@pytest.mark.parametrize(
    "point", [each if each == "judge.told" else pytest.param(each, marks=pytest.mark.slow) for each in POINTS]
)
async def test_a_level_is_told_though_the_judge_died_while_telling_it(stand: Pipeline, point: str) -> None:
    """Dead before the table was written it tells the level again, after that it knows that it was told: the repeats
    are read before the marker, and change nothing."""
    async with alone(stand, "judge", point=point) as process:
        await tell(stand, *range(9))
        assert await died(process) == KILLED
    async with alone(stand, "judge"):
        await tell(stand, *range(9), feature=MARKER)
        await told_of(stand, MARKER)
        told = await told_of(stand, RANGE)
    assert len(told) == (2 if point == "judge.told" else 1)
    assert len({each.until for each in told}) == 1


async def told_of(stand: Pipeline, feature: str) -> list[RiskLevelSet]:
    """The first moment at which a feature is blocked, every time that was told."""

    async def told() -> list[RiskLevelSet]:
        return [each for each in await levels(stand, RiskLevel.BLOCKED) if each.feature == feature]

    return await eventually(told, within_s=45, what=f"{feature} to be blocked")
