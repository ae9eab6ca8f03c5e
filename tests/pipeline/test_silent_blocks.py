"""A block that is told to nobody, from the door to the end: whoever attacks sees what anybody sees, and no message
leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.commands import watchword
from tests.support.door import calling
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.code_issued import CodeIssued
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.verification import shared
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.local.ports import LOOPBACK, free_ports

RANGE = "range:+99890123@shop"
PATIENCE_S = 20.0
CONFIGURATION = """
[[tenants]]
id = "shop"
countries = ["UZ"]
fraud_mode = "enforce"
silent_blocks = ["range"]

[[policies]]
id = "default"
tenant = "shop"
template = "default"

[[templates]]
id = "default"
tenant = "shop"
brand = "Shop"
[templates.texts]
en = "{code} is your {brand} code."

[[api_keys]]
tenant = "shop"
name = "platform"
scopes = ["start", "check", "read"]
"""


async def key_of(stand: Pipeline, tmp_path: Path) -> str:
    """The key of the platform, once the configuration is applied."""
    path = tmp_path / "silent.toml"
    path.write_text(CONFIGURATION, "utf-8")
    [key] = (await stand.configure(path)).new_keys
    return key.key


async def block(stand: Pipeline) -> None:
    """The judge's word that the range is blocked."""
    why = Reason(code="range_unverified_pileup", value=12.0, threshold=9.0, weight=90.0, feature=RANGE)
    until = datetime.now(UTC) + timedelta(seconds=600)
    level = RiskLevelSet(feature=RANGE, level=RiskLevel.BLOCKED, until=until, ruleset="test", reasons=(why,))
    await stand.publish(level, subject=RANGE)


async def test_whoever_is_refused_silently_sees_a_code_that_does_not_come(stand: Pipeline, tmp_path: Path) -> None:
    key = await key_of(stand, tmp_path)
    await block(stand)
    [port] = free_ports(1)
    async with (
        stand.running("intake,fraud,codes,checks,timers", http_port=port),
        calling(f"http://{LOOPBACK}:{port}", key) as platform,
    ):
        begun = await platform.post("/v1/verifications", {"to": "+998901230001", "purpose": "login"})
        assert (begun.status, begun.json["status"]) == (202, "pending"), "the door does not tell of the block either"
        path = f"/v1/verifications/{begun.json['id']}"
        [issued] = [each.event for each in await stand.told(topics.LIFECYCLE, count=1, name="code-issued")]
        assert isinstance(issued, CodeIssued) and issued.silent
        wrong = await platform.post(f"{path}/check", {"code": "000000"})
        assert wrong.json == {"result": "wrong", "checks_left": 4}
        shown = await platform.send("GET", path)
        assert (shown.json["status"], shown.json["checks_left"], shown.json["attempts"]) == ("pending", 4, [])

        # Its time is over.
        await stand.connection.execute("UPDATE verifications SET expires_at = now(), due_at = now()")
        [ended] = [each.event for each in await stand.told(topics.LIFECYCLE, count=1, name="verification-ended")]
        assert isinstance(ended, VerificationEnded)
        assert (ended.state.value, ended.reason, ended.sends_used, ended.checks_used) == ("expired", "time_over", 0, 1)
        await stand.outbox_is_empty()
        explained = await watchword(stand, "fraud", "explain", begun.json["id"])
        assert "send 1: block, told to nobody, score 90" in explained.out, explained.err
    assert await stand.records(topics.DISPATCH) == []
    assert await stand.connection.fetchval("SELECT count(*) FROM attempts") == 0
    # The audit holds the row against what was told of it, the end of its life included.
    await stand.connection.execute("UPDATE verifications SET expires_at = $1", issued.expires_at)
    audited = await watchword(stand, "audit")
    assert audited.code == 0, audited.out


@pytest.mark.slow  # what a lift asks for again is tested for resends too
async def test_a_lift_sends_what_a_silent_refusal_still_owes(stand: Pipeline, tmp_path: Path) -> None:
    await key_of(stand, tmp_path)
    await block(stand)
    about = await stand.verification(number="+998901230003", country="UZ")
    async with stand.running("fraud,codes"):
        await stand.publish(VerificationRequested(**shared(about)), subject=str(about.verification_id), ordinal=1)
        await stand.told(topics.LIFECYCLE, count=1, name="code-issued")
        done = await watchword(stand, "fraud", "lift", RANGE, "--reason", "a launch", "--redispatch")
        assert "sends asked for again: 1" in done.out, done.err
        await stand.told(topics.DISPATCH, count=1)

    async def real() -> bool:
        macs = await stand.connection.fetch("SELECT mac FROM codes ORDER BY version")
        return [len(row["mac"]) for row in macs] == [0, 32]

    await eventually(real, within_s=PATIENCE_S, what="a code of its own for the send that passed")
