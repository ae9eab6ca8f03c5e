"""What the judge keeps in memory: the table follows what is alive."""

import msgspec

from tests.unit.fraud.facts import KEYS, NOW, Judged, sends, verified
from watchword.events.risk_level_set import RiskLevel
from watchword.fraud.decide.node import Node
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.sweep import Sweep
from watchword.kernel.feature import Kind, feature_key, shard_of

START_S = NOW.timestamp()
HOUR_S = 3_600.0
DEVICE = KEYS[Kind.DEVICE]


def in_one_shard(count: int, kind: Kind = Kind.DEVICE) -> list[str]:
    keys = (feature_key(kind, f"{n:05d}", "shop") for n in range(100_000))
    return [key for key in keys if shard_of(key) == 3][:count]


def table_of(nodes: dict[str, Node]) -> dict[bytes, bytes]:
    return {feature.encode(): msgspec.msgpack.encode(node) for feature, node in nodes.items()}


def test_features_that_fell_silent_are_dropped_a_few_with_every_event() -> None:
    idle = Judged().see(DEVICE, *sends(1)).node(DEVICE)
    [active, *silent] = in_one_shard(9)
    table = table_of(dict.fromkeys([active, *silent], idle))
    sweep, dropped = Sweep(DEFAULT), set[str]()
    now_s = START_S + 48 * HOUR_S
    for _ in range(4):
        table[active.encode()] = msgspec.msgpack.encode(Node(at_s=now_s))
        faded = sweep.faded([active], table, now_s)
        assert len(faded.all) <= 2
        assert faded.told == ()
        for feature in faded.all:
            del table[feature.encode()]
        dropped |= set(faded.all)
    assert dropped == set(silent)
    assert set(table) == {active.encode()}


def test_a_dropped_feature_whose_level_was_told_is_told_to_be_over() -> None:
    blocked = Judged().see(DEVICE, *sends(10)).node(DEVICE)
    assert blocked.level is RiskLevel.BLOCKED
    [seen, gone] = in_one_shard(2)
    table = table_of({seen: blocked, gone: blocked})
    sweep = Sweep(DEFAULT)
    soon = sweep.faded([seen], table, START_S + 60)
    assert soon.all == ()
    late = sweep.faded([seen], table, START_S + 30 * 24 * HOUR_S)
    assert set(late.told) == set(late.all) == {gone, seen}


def test_a_crowded_table_lets_go_earlier_but_never_of_a_block() -> None:
    rules = msgspec.structs.replace(DEFAULT, nodes_max=2)
    idle = Judged().see(DEVICE, *sends(1)).node(DEVICE)
    blocked = Judged().see(DEVICE, *sends(10)).node(DEVICE)
    [one, two, three] = in_one_shard(3)
    table = table_of({one: idle, two: blocked})
    assert Sweep(rules).faded([three], table, START_S + 120).all == (one,)
    assert Sweep(DEFAULT).faded([three], table, START_S + 120).all == ()


def test_a_restored_table_is_looked_through_from_the_start() -> None:
    idle = Judged().see(DEVICE, *verified(1)).node(DEVICE)
    [one, two] = in_one_shard(2)
    sweep = Sweep(DEFAULT)
    assert sweep.faded([one], {}, START_S).all == ()
    table = table_of({two: idle})
    sweep.start_over()
    assert sweep.faded([one], table, START_S + 48 * HOUR_S).all == (two,)


def test_a_node_survives_the_changelog() -> None:
    node = Judged().see(DEVICE, *sends(9)).node(DEVICE)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(node), type=Node) == node
