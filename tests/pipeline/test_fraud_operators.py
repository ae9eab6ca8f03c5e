"""An operator looks at what is blocked, asks why, and lifts it on a running system."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from tests.support.commands import watchword
from tests.support.pipeline import PATIENCE_S, Pipeline, Read
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification import Facts, shared
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_requested import VerificationRequested

RANGE = "range:+99890123@shop"
LIFTED_WITHIN = timedelta(seconds=1)
CONFIGURATION = Path(__file__).parents[1] / "support" / "configuration.toml"


async def asked(stand: Pipeline, last_digits: int) -> Facts:
    about = await stand.verification(number=f"+99890123{last_digits:04d}", country="UZ")
    await stand.publish(VerificationRequested(**shared(about)), subject=str(about.verification_id), ordinal=1)
    return about


async def assessment(stand: Pipeline, about: Facts) -> VerificationAssessed:
    async def own() -> list[VerificationAssessed]:
        told = [each.event for each in await stand.read(topics.ASSESSMENTS)]
        return [
            each
            for each in told
            if isinstance(each, VerificationAssessed) and each.verification_id == about.verification_id
        ]

    [found] = await eventually(own, within_s=PATIENCE_S, what="the assessment")
    return found


async def until_let_through(stand: Pipeline, numbers: Iterator[int]) -> None:
    """Ask for one number after the other until one is sent to because nothing is held against it."""

    async def asked_once_more() -> bool:
        await asked(stand, next(numbers))
        told = [each.event for each in await stand.read(topics.ASSESSMENTS)]
        return any(isinstance(each, VerificationAssessed) and not each.reasons for each in told)

    await eventually(asked_once_more, within_s=PATIENCE_S, what="a send that is let through")


def is_refused(read: Read) -> bool:
    return isinstance(read.event, VerificationAssessed) and read.event.action is Action.BLOCK


async def test_a_block_is_seen_explained_and_lifted_while_everything_runs(stand: Pipeline, tmp_path: Path) -> None:
    text = CONFIGURATION.read_text("utf-8").replace('id = "shop"\nname', 'id = "shop"\nfraud_mode = "enforce"\nname')
    path = tmp_path / "enforcing.toml"
    path.write_text(text, "utf-8")
    await stand.configure(path)
    why = Reason(code="range_unverified_pileup", value=12.0, threshold=9.0, weight=90.0, feature=RANGE)
    until = datetime.now(UTC) + timedelta(seconds=600)
    block = RiskLevelSet(feature=RANGE, level=RiskLevel.BLOCKED, until=until, ruleset="test", reasons=(why,))
    await stand.publish(block, subject=RANGE)
    async with stand.running("fraud"):
        numbers = count(1)
        first = await asked(stand, next(numbers))
        assert (await assessment(stand, first)).action is Action.BLOCK

        shown = await watchword(stand, "fraud", "blocks", "--json")
        [seen] = shown.json
        assert (seen["feature"], seen["score"], seen["lifted"]) == (RANGE, 90.0, None), shown.err
        told = await watchword(stand, "fraud", "explain", str(first.verification_id))
        assert f"would pass if range_unverified_pileup were below 9, not 12 ({RANGE})" in told.out, told.err

        lifting = asyncio.create_task(watchword(stand, "fraud", "lift", RANGE, "--reason", "a launch", "--by", "ann"))
        await until_let_through(stand, numbers)
        lifted = await lifting
        assert lifted.code == 0, lifted.err
        [row] = await stand.connection.fetch("SELECT feature, done_by, reason, done_at FROM fraud_lifts")
        assert tuple(row)[:3] == (RANGE, "ann", "a launch")
        # Somebody asked all the while; every time is the database's, so a busy machine delays both and not one.
        refused = [each.envelope.time for each in await stand.read(topics.ASSESSMENTS) if is_refused(each)]
        assert max(refused) < row["done_at"] + LIFTED_WITHIN

        await stand.publish(block, subject=RANGE, ordinal=1)  # the judge's word again does not undo it
        again = await asked(stand, next(numbers))
        assert (await assessment(stand, again)).action is Action.ALLOW
        await stand.outbox_is_empty()
