"""An operator looks at what is blocked, asks why, and lifts it on a running system."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.commands import watchword
from tests.support.pipeline import Pipeline
from watchword.events import topics
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification import Facts, shared
from watchword.events.verification_assessed import Action, VerificationAssessed
from watchword.events.verification_requested import VerificationRequested

RANGE = "range:+99890123@shop"
CONFIGURATION = Path(__file__).parents[1] / "support" / "configuration.toml"


async def asked(stand: Pipeline, last_digits: int) -> Facts:
    about = await stand.verification(number=f"+99890123{last_digits:04d}", country="UZ")
    await stand.publish(VerificationRequested(**shared(about)), subject=str(about.verification_id), ordinal=1)
    return about


async def assessment(stand: Pipeline, about: Facts, count: int) -> VerificationAssessed:
    told = [each.event for each in await stand.told(topics.ASSESSMENTS, count=count)]
    [found] = [
        each
        for each in told
        if isinstance(each, VerificationAssessed) and each.verification_id == about.verification_id
    ]
    return found


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
        first = await asked(stand, 1)
        assert (await assessment(stand, first, 1)).action is Action.BLOCK

        shown = await watchword(stand, "fraud", "blocks", "--json")
        [seen] = shown.json
        assert (seen["feature"], seen["score"], seen["lifted"]) == (RANGE, 90.0, None), shown.err
        told = await watchword(stand, "fraud", "explain", str(first.verification_id))
        assert f"would pass if range_unverified_pileup were below 9, not 12 ({RANGE})" in told.out, told.err

        lifted = await watchword(stand, "fraud", "lift", RANGE, "--reason", "a launch", "--by", "ann")
        assert lifted.code == 0, lifted.err
        await stand.publish(block, subject=RANGE, ordinal=1)  # the judge's word again does not undo it
        second = await asked(stand, 2)
        assert (await assessment(stand, second, 2)).action is Action.ALLOW
        [row] = await stand.connection.fetch("SELECT feature, done_by, reason FROM fraud_lifts")
        assert tuple(row) == (RANGE, "ann", "a launch")
        await stand.outbox_is_empty()
