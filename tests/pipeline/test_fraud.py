"""fraud and its judge between real Kafka and real Postgres: requests are assessed once, ranges are judged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from tests.support.commands import watchword
from tests.support.pipeline import Pipeline, Read
from tests.support.rows import somebody_waits
from tests.support.waiting import eventually
from watchword.events import topics
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.resend_requested import ResendRequested
from watchword.events.risk_level_set import Reason, RiskLevel, RiskLevelSet
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Facts, Signals, shared
from watchword.events.verification_assessed import Action, Mode, VerificationAssessed
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.metrics import FraudMetrics
from watchword.fraud.signals import OBSERVATIONS_WAITING_MAX, SignalBuffer
from watchword.kernel.event import Emit
from watchword.kernel.feature import Kind, feature_key, shard_of
from watchword.runtime.acting import Cause, Told
from watchword.runtime.clock import WallClock
from watchword.runtime.health import Health
from watchword.runtime.kafka import Cluster
from watchword.runtime.metrics import Metrics
from watchword.runtime.mirror import LevelMirror
from watchword.runtime.publishing import Publisher

PUMPED, NEIGHBOUR = "+9989012300", "+9989355500"
RANGE = feature_key(Kind.RANGE, "+99890123", "shop")
PUMPED_SENDS = 12
CONFIGURATION = Path(__file__).parents[1] / "support" / "configuration.toml"


@pytest_asyncio.fixture
async def enforcing(stand: Pipeline, tmp_path: Path) -> Pipeline:
    """The stand, its tenant enforcing."""
    text = CONFIGURATION.read_text("utf-8").replace('id = "shop"\nname', 'id = "shop"\nfraud_mode = "enforce"\nname')
    path = tmp_path / "enforcing.toml"
    path.write_text(text, "utf-8")
    await stand.configure(path)
    return stand


async def number(stand: Pipeline, digits: str) -> Facts:
    return await stand.verification(number=digits, country="UZ")


async def ask(stand: Pipeline, about: Facts, *, send_no: int = 1, signals: Signals | None = None) -> None:
    kind = VerificationRequested if send_no == 1 else ResendRequested
    event = kind(**shared(about), send_no=send_no, signals=signals or Signals())
    await stand.publish(event, subject=str(about.verification_id), ordinal=send_no)


def ended(about: Facts, state: Ending) -> VerificationEnded:
    return VerificationEnded(**shared(about), state=state, reason="told", requested_at=datetime.now(UTC))


def level(feature: str, risk: RiskLevel, until_s: float = 300) -> RiskLevelSet:
    until = datetime.now(UTC) + timedelta(seconds=until_s)
    why = Reason(code="range_unverified_pileup", value=9.1, threshold=9.0, weight=90.0)
    return RiskLevelSet(feature=feature, level=risk, until=until, ruleset="test", reasons=(why,))


async def assessments(stand: Pipeline, count: int) -> list[VerificationAssessed]:
    told = await stand.told(topics.ASSESSMENTS, count=count)
    return [each.event for each in told if isinstance(each.event, VerificationAssessed)]


async def levels_of(stand: Pipeline, feature: str) -> list[RiskLevelSet]:
    found = [record for record in await stand.records(topics.RISK_LEVELS) if record.value is not None]
    events = [each.event for each in await stand.read(topics.RISK_LEVELS)] if found else []
    return [each for each in events if isinstance(each, RiskLevelSet) and each.feature == feature]


async def test_a_request_is_assessed_once_however_often_it_is_repeated(stand: Pipeline) -> None:
    about = await number(stand, PUMPED + "01")
    other = await number(stand, NEIGHBOUR + "01")
    async with stand.running("fraud"):
        for _ in range(3):
            await ask(stand, about)
        await ask(stand, other)
        told = await assessments(stand, 2)
        await stand.outbox_is_empty()
    assert {each.verification_id for each in told} == {about.verification_id, other.verification_id}
    assert len(await stand.read(topics.ASSESSMENTS)) == 2
    row = await stand.row(
        "SELECT sends_assessed, seq, due_at = expires_at AS moved FROM verifications WHERE id = $1",
        about.verification_id,
    )
    assert tuple(row) == (1, 2, True)
    assert {each.envelope.sequence for each in await stand.read(topics.ASSESSMENTS)} == {2}
    seen = observations(await stand.read(topics.SIGNALS))
    assert len(seen) == len({(each.feature, each.signal_id) for each in seen}) == 6


async def test_a_batch_delivered_twice_after_a_restart_changes_nothing(stand: Pipeline) -> None:
    about = [await number(stand, f"{PUMPED}{n:02d}") for n in range(5)]
    async with stand.running("fraud"):
        for each in about:
            await ask(stand, each)
        await assessments(stand, 5)
        await stand.outbox_is_empty()
    async with stand.running("fraud", group_prefix=f"{stand.cluster.group_prefix}again."):
        last = await number(stand, NEIGHBOUR + "01")
        await ask(stand, last)
        await assessments(stand, 6)
        await stand.outbox_is_empty()
    assert len(await stand.read(topics.ASSESSMENTS)) == 6
    assert await stand.connection.fetchval("SELECT max(seq) FROM verifications") == 2


async def test_an_assessment_that_has_to_be_made_anew_is_counted_once(enforcing: Pipeline) -> None:
    """Somebody tells of its verification while it is being written."""
    about = await number(enforcing, PUMPED + "01")
    async with enforcing.running("fraud") as process:
        async with enforcing.connection.transaction():
            await enforcing.connection.execute("UPDATE verifications SET seq = seq + 1")
            await ask(enforcing, about)
            await somebody_waits(enforcing)
        await assessments(enforcing, 1)
        assert process.metrics.value("watchword_fraud_score_level_count") == 1


async def test_the_observations_of_a_batch_share_events_by_shard(stand: Pipeline) -> None:
    about = [await number(stand, f"{PUMPED}{n:02d}") for n in range(20)]
    for each in about:
        await ask(stand, each, signals=Signals(ip_net_token="net", device_token="phone"))
    async with stand.running("fraud"):
        await assessments(stand, 20)
        await stand.outbox_is_empty()
    told = await stand.read(topics.SIGNALS)
    seen = observations(told)
    assert len(seen) == 20 * 5
    assert len(told) < 20
    for record in told:
        assert isinstance(record.event, SignalObserved)
        assert {shard_of(one.feature) for one in record.event.observations} == {record.event.shard}
        assert record.key == str(record.event.shard)


async def test_an_ending_tells_whether_the_number_was_verified(stand: Pipeline) -> None:
    about = {state: await number(stand, f"{PUMPED}{n:02d}") for n, state in enumerate(Ending) if state != "unknown"}
    for state, each in about.items():
        await stand.publish(ended(each, state), subject=str(each.verification_id))
    async with stand.running("fraud"):

        async def learned() -> bool:
            return len(observations(await stand.read(topics.SIGNALS))) >= 3

        await eventually(learned, within_s=20, what="the ending that says something, of three features")
        await stand.outbox_is_empty()
    seen = {each.signal_id: each.kind for each in observations(await stand.read(topics.SIGNALS))}
    told = {state: seen.get(f"ended:{each.verification_id}") for state, each in about.items()}
    assert told == {
        Ending.APPROVED: SignalKind.VERIFIED,
        Ending.EXPIRED: None,
        Ending.FAILED: None,
        Ending.LOCKED: None,
        Ending.CANCELLED: None,
        Ending.BLOCKED: None,
    }


async def test_monitor_mode_says_what_it_would_do_and_allows(stand: Pipeline) -> None:
    await stand.publish(level(RANGE, RiskLevel.BLOCKED), subject=RANGE)
    async with stand.running("fraud"):
        await ask(stand, await number(stand, PUMPED + "01"))
        [told] = await assessments(stand, 1)
    assert (told.mode, told.action, told.would, told.score) == (Mode.MONITOR, Action.ALLOW, Action.BLOCK, 90)
    assert told.reasons[0].feature == RANGE


async def test_a_user_the_platform_vouches_for_passes_a_blocked_range(enforcing: Pipeline) -> None:
    await enforcing.publish(level(RANGE, RiskLevel.BLOCKED), subject=RANGE)
    async with enforcing.running("fraud"):
        await ask(enforcing, await number(enforcing, PUMPED + "01"), signals=Signals(trusted=True))
        await ask(enforcing, await number(enforcing, PUMPED + "02"))
        told = await assessments(enforcing, 2)
    assert {(each.action, each.features.get("trusted", 0.0)) for each in told} == {
        (Action.ALLOW, 1.0),
        (Action.BLOCK, 0.0),
    }


async def test_a_number_that_was_verified_passes_a_blocked_range_until_its_user_is_disowned(
    enforcing: Pipeline,
) -> None:
    await enforcing.publish(level(RANGE, RiskLevel.BLOCKED), subject=RANGE)
    async with enforcing.running("fraud"):
        verified = await number(enforcing, PUMPED + "01")
        await enforcing.publish(ended(verified, Ending.APPROVED), subject=str(verified.verification_id))
        await known_numbers(enforcing, 1)
        again, stranger = await number(enforcing, PUMPED + "01"), await number(enforcing, PUMPED + "02")
        await ask(enforcing, again)
        await ask(enforcing, stranger)
        told = {each.verification_id: each.action for each in await assessments(enforcing, 2)}
        assert told == {again.verification_id: Action.ALLOW, stranger.verification_id: Action.BLOCK}

        word = FeedbackGiven(**shared(verified), good=False, feedback_no=1, sent=True)
        await enforcing.publish(word, subject=str(verified.verification_id))
        await known_numbers(enforcing, 0)
        disowned = await number(enforcing, PUMPED + "01")
        await ask(enforcing, disowned)
        told = {each.verification_id: each.action for each in await assessments(enforcing, 3)}
        assert told[disowned.verification_id] is Action.BLOCK


async def known_numbers(stand: Pipeline, count: int) -> None:
    async def are() -> bool:
        return bool(await stand.connection.fetchval("SELECT count(verified_at) FROM subjects") == count)

    await eventually(are, within_s=20, what=f"{count} numbers to be known")


MONEY = """
[[prices]]
country = "*"
micros = 500

[[caps]]
id = "of-a-key"
each = "api_key"
day_micros = 1200
"""


async def test_sends_beyond_a_cap_are_refused_and_money_that_left_nothing_is_free_again(
    stand: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "capped.toml"
    path.write_text(CONFIGURATION.read_text("utf-8") + MONEY, "utf-8")
    await stand.configure(path)
    about = [await number(stand, f"{NEIGHBOUR}{n:02d}") for n in range(4)]
    for each in about:
        event = VerificationRequested(**shared(each), asked_by="web")
        await stand.publish(event, subject=str(each.verification_id), ordinal=1)
    async with stand.running("fraud"):
        told = await assessments(stand, 4)
        refused = [each for each in told if each.action is Action.BLOCK]
        assert [(each.reasons[0].code, each.mode) for each in refused] == [("cost_cap", Mode.MONITOR)] * 2
        sums = "SELECT held_micros, spent_micros, refused FROM spending"
        assert tuple(await stand.row(sums)) == (1_000, 0, 2)
        [books] = (await watchword(stand, "audit", "--json", "--only", "A11")).json["checks"]
        assert (books["breaches"], books["notes"]) == ([], ["1 counters of caps compared"])
        for each in about:
            await stand.publish(ended(each, Ending.CANCELLED), subject=str(each.verification_id))

        async def free() -> bool:
            return tuple(await stand.row(sums)) == (0, 0, 2)

        await eventually(free, within_s=20, what="the money of what never left")
        last = await number(stand, f"{NEIGHBOUR}50")
        event = VerificationRequested(**shared(last), asked_by="web")
        await stand.publish(event, subject=str(last.verification_id), ordinal=1)
        told = await assessments(stand, 5)
    assert {each.action for each in told if each.verification_id == last.verification_id} == {Action.ALLOW}


async def test_a_pumped_range_is_blocked_while_another_of_the_country_goes_through(enforcing: Pipeline) -> None:
    async with enforcing.running("fraud,judge"):
        for n in range(PUMPED_SENDS):
            await ask(enforcing, await number(enforcing, f"{PUMPED}{n:02d}"))
        await assessments(enforcing, PUMPED_SENDS)

        *_, judgement = await judged(enforcing, RiskLevel.BLOCKED)
        refused = await number(enforcing, f"{PUMPED}50")
        await ask(enforcing, refused)
        await ask(enforcing, await number(enforcing, f"{NEIGHBOUR}01"))
        told = await assessments(enforcing, PUMPED_SENDS + 2)
        await enforcing.outbox_is_empty()
    by_id = {each.verification_id: each for each in told}
    assert by_id[refused.verification_id].action is Action.BLOCK
    assert Action.BLOCK not in {each.action for each in told if each.range == NEIGHBOUR[:9]}
    [reason] = judgement.reasons
    assert (reason.code, reason.value >= reason.threshold) == ("range_unverified_pileup", True)
    fed = {each.signal_id for each in observations(await enforcing.read(topics.SIGNALS)) if each.feature == RANGE}
    assert f"sent:{refused.verification_id}:1" not in fed


def sent(*numbers: int) -> SignalObserved:
    now = datetime.now(UTC)
    seen = (
        Observation(feature=RANGE, kind=SignalKind.SENT, at=now, signal_id=f"sent:{n}:1", country="UZ") for n in numbers
    )
    return SignalObserved(shard=shard_of(RANGE), observations=tuple(seen))


async def tell(stand: Pipeline, *numbers: int) -> None:
    await stand.publish(sent(*numbers), subject=f"signals:{numbers}", key=str(shard_of(RANGE)))


async def judged(stand: Pipeline, wanted: RiskLevel) -> list[RiskLevelSet]:
    async def told() -> list[RiskLevelSet]:
        levels = await levels_of(stand, RANGE)
        return levels if wanted in [each.level for each in levels] else []

    return await eventually(told, within_s=30, what=f"the range to be {wanted.value}")


async def test_a_restarted_judge_remembers_what_it_saw(stand: Pipeline) -> None:
    async with stand.running("judge"):
        await tell(stand, 0, 1, 2, 3, 4, 5)
        await judged(stand, RiskLevel.ELEVATED)
    async with stand.running("judge"):
        await tell(stand, 3, 4, 5)  # repeats: still six sends
        await tell(stand, 6, 7, 8, 9, 10, 11)
        levels = await judged(stand, RiskLevel.BLOCKED)
    assert levels[0].level is RiskLevel.ELEVATED
    assert levels[-1].reasons[0].value >= levels[-1].reasons[0].threshold


async def test_what_the_judge_cannot_read_goes_to_the_dead_topic_and_it_goes_on(stand: Pipeline) -> None:
    shard = str(shard_of(RANGE))
    async with stand.running("judge") as process:
        await stand.publish_raw(topics.SIGNALS, shard.encode(), b"\xff not an event")
        await stand.publish_raw(topics.SIGNALS, shard.encode(), None)
        await stand.publish(ended(await number(stand, PUMPED + "01"), Ending.EXPIRED), subject="x", key=shard,
                            topic=topics.SIGNALS)  # fmt: skip
        await tell(stand, *range(12))
        await judged(stand, RiskLevel.BLOCKED)
        assert process.metrics.value("watchword_judge_dead_letters_total", reason="unreadable") == 3
    letters = await stand.records(topics.dead(topics.SIGNALS))
    assert {b"\xff not an event", None} <= {letter.value for letter in letters}
    assert {dict(letter.headers)["wwd_reason"] for letter in letters} == {b"unreadable"}


async def test_signals_wait_while_kafka_is_away_and_beyond_their_room_are_dropped() -> None:
    publisher, metrics = Publisher(Cluster("127.0.0.1:1"), client_id="nobody"), Metrics()
    buffer = SignalBuffer(publisher, WallClock(), FraudMetrics(metrics))
    event = sent(*range(1_000))
    told = Told(Emit(event, "signals", counted=False), 0, Cause())
    assert buffer.take([told]) == []
    await buffer.publish()
    assert buffer.waiting == 1_000
    buffer.take([told] * 100)
    assert buffer.waiting == OBSERVATIONS_WAITING_MAX
    assert metrics.value("watchword_fraud_observations_total", outcome="dropped") == 1_000
    await publisher.stop()


async def test_a_mirror_knows_what_was_judged_before_it_started_and_after(stand: Pipeline) -> None:
    await stand.publish(level(RANGE, RiskLevel.BLOCKED), subject=RANGE)
    network = feature_key(Kind.IP_NET, "token", "shop")
    await stand.publish(level(network, RiskLevel.BLOCKED), subject=network)
    health = Health()
    mirror = LevelMirror(
        stand.cluster, member="test", clock=WallClock(), check=health.check("mirror"), kinds={Kind.RANGE, Kind.COUNTRY}
    )
    await mirror.start()
    try:
        assert len(mirror) == 1
        now = datetime.now(UTC)
        refusal = mirror.refusing(tenant="shop", country="UZ", range_="+99890123", now=now)
        assert refusal is not None and refusal.feature == RANGE
        assert mirror.refusing(tenant="other", country="UZ", range_="+99890123", now=now) is None
        assert mirror.refusing(tenant="shop", country="UZ", range_="+99890123", now=refusal.until) is None
        await stand.publish_raw(topics.RISK_LEVELS, RANGE.encode(), b"not an event")
        await stand.publish_raw(topics.RISK_LEVELS, RANGE.encode(), None)

        async def forgotten() -> bool:
            return len(mirror) == 0

        await eventually(forgotten, within_s=10, what="the mirror to hear of the end of a level")
        assert health.readiness()[0].ok
    finally:
        await mirror.stop()


def observations(told: list[Read]) -> list[Observation]:
    return [one for each in told if isinstance(each.event, SignalObserved) for one in each.event.observations]
