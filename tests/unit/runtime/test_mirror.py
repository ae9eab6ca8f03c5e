"""What a mirror holds: levels in force, of the kinds it was asked to hold, and no more than its room."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from structlog.testing import capture_logs

from watchword.events.risk_level_set import RiskLevel, RiskLevelSet
from watchword.kernel.event import Emit
from watchword.kernel.feature import DESTINATIONS, Kind, feature_key, kind_of, lift_key, trail_of
from watchword.runtime import outbox
from watchword.runtime.clock import WallClock
from watchword.runtime.health import Health
from watchword.runtime.kafka import Cluster
from watchword.runtime.mirror import LevelMap, LevelMirror, Mirrored
from watchword.runtime.outbox import Origin

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def told(
    number: int, level: RiskLevel = RiskLevel.BLOCKED, *, kind: Kind = Kind.RANGE, lasts_s: float = 300
) -> Mirrored:
    feature = feature_key(kind, f"+9989{number:03d}", "shop")
    until = NOW + timedelta(seconds=lasts_s)
    return Mirrored(RiskLevelSet(feature=feature, level=level, until=until, ruleset="test"), NOW)


def test_a_level_is_in_force_until_its_time_is_over() -> None:
    levels, one = LevelMap(frozenset(Kind), 10), told(1)
    levels.put(one.level.feature, one)
    assert levels.get(one.level.feature, NOW + timedelta(seconds=299)) is one
    assert levels.get(one.level.feature, NOW + timedelta(seconds=300)) is None
    assert levels.get("range:+1@shop", NOW) is None


def test_the_last_word_on_a_feature_stands() -> None:
    levels, one = LevelMap(frozenset(Kind), 10), told(1)
    levels.put(one.level.feature, told(1, RiskLevel.ELEVATED))
    levels.put(one.level.feature, one)
    assert levels.get(one.level.feature, NOW) is one
    levels.put(one.level.feature, told(1, RiskLevel.NORMAL))
    assert len(levels) == 0
    levels.put(one.level.feature, one)
    levels.put(one.level.feature, None)
    assert len(levels) == 0


def test_only_the_kinds_that_were_asked_for_take_room() -> None:
    levels, network = LevelMap({Kind.RANGE}, 10), told(1, kind=Kind.IP_NET)
    levels.put(network.level.feature, network)
    levels.put("planet:mars@shop", told(2))
    assert len(levels) == 0


def test_of_what_nobody_asked_for_nothing_is_read_but_lifts() -> None:
    levels = LevelMap({Kind.RANGE}, 10)
    feature = feature_key(Kind.ROW, "+9989123.b.r", "shop")
    assert not levels.wants(feature)
    assert not levels.wants("planet:mars@shop")
    assert levels.wants(lift_key(feature))
    assert levels.wants(feature_key(Kind.RANGE, "+9989123", "shop"))


def test_the_kinds_of_a_destination_are_those_above_and_at_its_range() -> None:
    trail = trail_of(feature_key(Kind.RANGE, "+9198765", "shop"), "IN")
    assert tuple(kind for kind, _ in trail) == DESTINATIONS


def test_room_is_made_by_letting_go_of_what_is_over_and_then_of_what_ends_soonest() -> None:
    levels = LevelMap(frozenset(Kind), 2)
    for number, lasts_s in enumerate((-1, 100, 300, 200)):
        one = told(number, lasts_s=lasts_s)
        levels.put(one.level.feature, one)
    levels.tidy(NOW)
    assert len(levels) == 2
    assert levels.get(told(2).level.feature, NOW) is not None
    assert levels.get(told(3).level.feature, NOW) is not None


def test_a_feature_key_says_its_kind_and_an_unknown_kind_is_nobodys() -> None:
    assert feature_key(Kind.IP_NET, "token", "shop") == "ip_net:token@shop"
    assert [kind_of(feature_key(kind, "x", "shop")) for kind in Kind] == list(Kind)
    assert kind_of("planet:mars@shop") is None
    assert kind_of("") is None


def test_a_lift_outranks_what_is_said_of_its_feature_before_and_after_until_it_is_over() -> None:
    levels, one, other = LevelMap(frozenset(Kind), 10), told(1), told(2)
    feature, lift = one.level.feature, lift_key(one.level.feature)
    levels.put(feature, one)
    levels.put(other.level.feature, other)
    levels.put(lift, told(1, RiskLevel.NORMAL, lasts_s=60))
    assert levels.get(feature, NOW) is None
    levels.put(feature, one)
    assert levels.get(feature, NOW + timedelta(seconds=59)) is None
    assert levels.get(feature, NOW + timedelta(seconds=60)) is one
    assert levels.get(other.level.feature, NOW) is other
    levels.put(lift, None)
    assert levels.get(feature, NOW) is one


def record_of(one: Mirrored, value: bytes | None = None) -> Any:
    """A record as Kafka has it."""
    emit = Emit(one.level, one.level.feature, counted=False)
    row = outbox.row(emit, Origin("judge", one.told_at), sequence=0)
    told_ms = int(one.told_at.timestamp() * 1_000)
    return SimpleNamespace(
        key=row.key, value=value or row.value, headers=row.headers, timestamp=told_ms, offset=3, partition=0
    )


def test_what_cannot_be_read_is_passed_over_and_what_was_said_before_stands() -> None:
    mirror = LevelMirror(Cluster("nobody"), member="test", clock=WallClock(), check=Health().check("mirror"))
    one, nameless = told(1), record_of(told(1, RiskLevel.NORMAL))
    nameless.headers = ()
    with capture_logs() as logged:
        mirror._take({TopicPartition("levels", 0): [record_of(one), record_of(one, b"not an event"), nameless]})
    assert mirror.level(one.level.feature, NOW) == one, "with the moment at which it was told"
    assert [line["event"] for line in logged] == ["mirror.unreadable"] * 2


def test_of_a_level_that_is_not_held_only_the_key_is_read() -> None:
    kinds = frozenset(Kind) - {kind_of(told(1).level.feature)}
    mirror = LevelMirror(
        Cluster("nobody"), member="test", clock=WallClock(), check=Health().check("mirror"), kinds=kinds
    )
    with capture_logs() as logged:
        mirror._take({TopicPartition("levels", 0): [record_of(told(1), b"not an event")]})
    assert logged == [] and len(mirror) == 0
