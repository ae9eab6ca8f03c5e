"""What the judge keeps in memory: the table follows what is alive."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import cast

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.unit.fraud.facts import KEYS, NOW, RANGE, Judged, sends, verified
from watchword.events import topics
from watchword.events.risk_level_set import RiskLevel
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.fraud.decide import observe
from watchword.fraud.decide.node import WRITTEN_AS, Node
from watchword.fraud.decide.room import counted_under
from watchword.fraud.decide.rules import DEFAULT
from watchword.fraud.decide.subject import subject
from watchword.fraud.judge import Judge, Record, Weighed, weigh_batch
from watchword.fraud.metrics import JudgeMetrics
from watchword.fraud.sweep import ROUND_S, Sweep
from watchword.fraud.table import Touched
from watchword.kernel.feature import Kind, feature_key, shard_of, trail_of
from watchword.runtime import outbox
from watchword.runtime.clock import WallClock
from watchword.runtime.metrics import Metrics
from watchword.runtime.outbox import Origin
from watchword.runtime.publishing import Outgoing, Publisher

START_S = NOW.timestamp()
HOUR_S, SHARD = 3_600.0, 3
SENT, VERIFIED, DELIVERED = SignalKind.SENT, SignalKind.VERIFIED, SignalKind.DELIVERED
BYTES_MAX = 600
Writes = Mapping[int, Mapping[bytes, bytes | None]]
DEVICE = KEYS[Kind.DEVICE]


def in_one_shard(count: int, kind: Kind = Kind.DEVICE) -> list[str]:
    keys = (feature_key(kind, f"{n:05d}", "shop") for n in range(100_000))
    return [key for key in keys if shard_of(key) == SHARD][:count]


def table_of(nodes: dict[str, Node]) -> dict[bytes, bytes]:
    return {feature.encode(): msgspec.msgpack.encode(node) for feature, node in nodes.items()}


def test_features_that_fell_silent_are_dropped_a_few_with_every_event() -> None:
    idle = Judged().see(DEVICE, *sends(1)).node(DEVICE)
    [active, *silent] = in_one_shard(9)
    table = table_of(dict.fromkeys([active, *silent], idle))
    sweep, dropped = Sweep(DEFAULT), set[str]()
    now_s = START_S + 48 * HOUR_S
    for _ in range(5):
        table[active.encode()] = msgspec.msgpack.encode(Node(at_s=now_s))
        faded = swept(sweep, active, table, now_s)
        assert len(faded) <= 2
        for feature in faded:
            del table[feature.encode()]
        dropped |= faded
    assert dropped == set(silent)
    assert set(table) == {active.encode()}


def swept(sweep: Sweep, new: str, table: dict[bytes, bytes], now_s: float) -> set[str]:
    """The features that can be dropped once one of their shard was touched."""
    return {key.decode() for key in sweep.faded({SHARD: Touched(1, [new.encode()])}, table, now_s).all[SHARD]}


def test_what_was_found_alive_is_looked_at_again_in_the_next_round_alone() -> None:
    """A range with a past stays for weeks; it was decoded with every batch that touched its shard."""

    class Counted(dict[bytes, bytes]):
        looks = 0

        def get(self, key: bytes, default: object = None) -> bytes | None:  # type: ignore[override]
            self.looks += 1
            return super().get(key)

    lasting = in_one_shard(3, Kind.RANGE)
    past = Judged().see(RANGE, *sends(5), *verified(4, at_s=10)).node(RANGE)
    table, sweep = Counted(table_of(dict.fromkeys(lasting, past))), Sweep(DEFAULT)
    for after_s, looks in ((0, 2), (1, 3), (2, 3), (ROUND_S - 1, 3), (ROUND_S, 5), (ROUND_S + 1, 6), (ROUND_S + 2, 6)):
        assert sweep.faded({SHARD: Touched(1, ())}, table, START_S + 2 * HOUR_S + after_s).told == ()
        assert table.looks == looks, "each once a round, and a round a minute"


def test_a_dropped_feature_whose_level_was_told_is_told_to_be_over() -> None:
    blocked = Judged().see(DEVICE, *sends(10)).node(DEVICE)
    assert blocked.level is RiskLevel.BLOCKED
    [seen, gone] = in_one_shard(2)
    table = table_of({seen: blocked, gone: blocked})
    sweep = Sweep(DEFAULT)
    assert swept(sweep, seen, table, START_S + 60) == set()
    late_s = START_S + 30 * 24 * HOUR_S
    table[seen.encode()] = msgspec.msgpack.encode(Node(at_s=late_s))
    late = sweep.faded({SHARD: Touched(1, ())}, table, late_s)
    assert late.told == (gone.encode(),) == tuple(late.all[SHARD])


def test_a_crowded_table_lets_go_earlier_but_never_of_a_block() -> None:
    rules = msgspec.structs.replace(DEFAULT, nodes_max=2)
    idle = Judged().see(DEVICE, *sends(1)).node(DEVICE)
    blocked = Judged().see(DEVICE, *sends(10)).node(DEVICE)
    [one, two, three] = in_one_shard(3)
    table = table_of({one: idle, two: blocked})
    assert swept(Sweep(rules), three, table, START_S + 120) == {one}
    assert swept(Sweep(DEFAULT), three, table, START_S + 120) == set()


def test_a_restored_table_is_looked_through_from_the_start() -> None:
    idle = Judged().see(DEVICE, *verified(1)).node(DEVICE)
    [one, two] = in_one_shard(2)
    sweep = Sweep(DEFAULT)
    assert swept(sweep, one, {}, START_S) == set()
    table = table_of({two: idle})
    sweep.start_over()
    assert swept(sweep, one, table, START_S + 48 * HOUR_S) == {two}


def user(number: int, at_s: float, kinds: Sequence[SignalKind]) -> Iterator[Observation]:
    """One who asks for a code in a range of his own, and what becomes of that, as events of it tell."""
    tokens = dict.fromkeys((Kind.NUMBER, Kind.PHONE), f"{number:032x}")
    about = subject("shop", "GB", f"+4479{number:05d}", (f"b{number:07d}", f"r{number:07d}"), tokens)
    for n, kind in enumerate(kinds):
        at = NOW + timedelta(seconds=at_s + 3 * n)
        for _, feature, place in observe.counted_under(about, kind, {}, repeated=False):
            signal_id = f"{kind.value}:{number}"
            yield Observation(feature=feature, kind=kind, at=at, signal_id=signal_id, country="GB", place=place)


def people(number: int) -> tuple[bytes, bytes]:
    """The features of one user alone."""
    return f"number:{number:032x}@shop".encode(), f"phone:{number:032x}@*".encode()


def live(observations: Iterable[Observation], table: dict[bytes, bytes], sweep: Sweep) -> None:
    """A batch as the judge keeps it: what changed is written, what fell silent is dropped."""
    record = Record("otp.signals.v1", 3, 0, None, None, ())
    events = [(record, emit.event) for emit in observe.merged(observe.by_shard(observations))]
    weighed = weigh_batch([(of, event) for of, event in events if isinstance(event, SignalObserved)], table, DEFAULT)
    keep(weighed.nodes.changed(), table)
    keep(weighed.nodes.without(sweep.faded(weighed.nodes.touched(), table, weighed.now_s).all), table)


def keep(changes: Writes, table: dict[bytes, bytes]) -> None:
    for entries in changes.values():
        for key, value in entries.items():
            if value is None:
                del table[key]
            else:
                table[key] = value


def kinds_in(table: Iterable[bytes]) -> Counter[str]:
    return Counter(key.decode().partition(":")[0] for key in table)


def test_numbers_of_verified_users_filled_the_memory_for_a_day_and_said_nothing() -> None:
    """Also: of the shards that share a partition only the last one's silent features were ever dropped."""
    table, sweep = dict[bytes, bytes](), Sweep(DEFAULT)
    live([seen for n in range(40) for seen in user(n, 0, [SENT, VERIFIED])], table, sweep)
    live([seen for n in range(40, 50) for seen in user(n, 0, [SENT])], table, sweep)
    assert kinds_in(table)["number"] == kinds_in(table)["phone"] == 50
    for n in range(60):
        live([*user(60 + n % 30, 60 + 5.0 * n, [SENT]), *user(90 + n % 30, 60 + 5.0 * n, [SENT])], table, sweep)
    held = [n for n in range(50) for key in people(n) if key in table]
    assert held == [n for n in range(40, 50) for _ in people(n)], "who was not verified counts for a day"
    assert kinds_in(table)["row"] == 110, "that users were verified there is not forgotten"


def test_a_kept_feature_takes_so_many_bytes() -> None:
    """Half an hour of people who come again took the judge 75 MiB, of 108,000 features; what was read is not counted,
    what the table and the sweep hold is."""
    tracemalloc.start()
    try:
        table, sweep = dict[bytes, bytes](), Sweep(DEFAULT)
        for visit in range(3):
            for start in range(0, 200, 50):
                come = [(n, 600.0 * visit + n) for n in range(start, start + 50)]
                live([seen for n, at_s in come for seen in user(n, at_s, [SENT, DELIVERED, VERIFIED])], table, sweep)
        kept, before = len(table), tracemalloc.get_traced_memory()[0]
        table.clear()
        sweep.start_over()
        gc.collect()
        a_feature = (before - tracemalloc.get_traced_memory()[0]) / kept
    finally:
        tracemalloc.stop()
    assert kept > 700
    assert a_feature < BYTES_MAX


async def test_a_block_is_logged_when_it_begins_and_ends_and_what_an_honest_user_has_told_is_not() -> None:
    """Four lines for one user in a range of his own were a third of what the judge cost."""

    class Held(dict[bytes, bytes]):
        async def write(self, changes: Writes) -> None:
            keep(changes, self)

    class Unsent:
        async def publish(self, records: Sequence[Outgoing]) -> None:
            told.extend((record.key or b"").decode() for record in records)

    told: list[str] = []
    metrics = Metrics()
    worker = Judge(DEFAULT, cast(Publisher, Unsent()), WallClock(), JudgeMetrics(metrics))
    table, offset = Held(), count()

    async def batch(*observations: Observation) -> list[tuple[str, str]]:
        emits = observe.merged(observe.by_shard(observations))
        rows = [outbox.row(emit, Origin("fraud", NOW), sequence=0) for emit in emits]
        records = [Record(topics.SIGNALS, 3, next(offset), row.key, row.value, row.headers) for row in rows]
        with capture_logs() as logged:
            await worker.take(records, table)
        return [(line["kind"], line["risk"]) for line in logged if line["event"] == "judge.level_set"]

    for n in range(200):
        assert await batch(*user(n, 0.1 * n, [SENT, VERIFIED])) == []
    assert await batch(*user(200, 30, [SENT])) == []
    assert {key.partition(":")[0] for key in told} >= {"range", "row", "tenant"}
    assert metrics.value("watchword_judge_levels_total", rule="range", state="elevated")
    assert await batch(*(observed(DEVICE, n) for n in range(10))) == [("device", "blocked")]
    assert await batch(observed(DEVICE, 11, SignalKind.LIFTED)) == [("device", "normal")]
    assert await batch(observed(DEVICE, 12)) == []


def test_every_field_of_a_node_is_written_under_a_letter_of_its_own() -> None:
    assert set(WRITTEN_AS) == set(Node.__struct_fields__)
    assert len(set(WRITTEN_AS.values())) == len(WRITTEN_AS)
    assert {len(letter) for letter in WRITTEN_AS.values()} == {1}


def test_a_node_survives_the_changelog() -> None:
    node = Judged().see(DEVICE, *sends(9)).node(DEVICE)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(node), type=Node) == node


ROOM = 1_000
CROWDED = msgspec.structs.replace(DEFAULT, nodes_max=ROOM)
RANGES = [f"+9989{n:04d}" for n in range(50)]
SPRAYED = RANGES * 2_000


def observed(feature: str, number: int = 0, kind: SignalKind = SignalKind.SENT) -> Observation:
    at = NOW + timedelta(milliseconds=number)
    return Observation(feature=feature, kind=kind, at=at, signal_id=f"{feature}{number}", country="UZ")


def judge(table: dict[bytes, bytes], observations: Iterable[Observation]) -> Weighed:
    """One batch, kept in the table."""
    record = Record("otp.signals.v1", 3, 0, None, None, ())
    weighed = weigh_batch([(record, SignalObserved(shard=3, observations=tuple(observations)))], table, CROWDED)
    for changes in weighed.nodes.changed().values():
        table.update({key: value for key, value in changes.items() if value is not None})
    return weighed


def test_a_spray_of_100_000_blocks_leaves_the_table_at_its_budget() -> None:
    held: set[str] = set()
    for n, digits in enumerate(SPRAYED):
        seen = Observation(feature=f"row:{digits}.b{n}.r@shop", kind=SENT, at=NOW, signal_id="", country="UZ")
        under = counted_under(Kind.ROW, seen, held, ROOM)
        assert under is not None
        held.update(feature for _, feature in trail_of(under, "UZ"))
    assert len(held) <= ROOM + len(RANGES), "all but the ranges found room while there was some"
    assert held >= {f"range:{digits}@shop" for digits in RANGES}


def test_blocks_without_room_count_for_their_ranges() -> None:
    table: dict[bytes, bytes] = {}
    for first in (0, 2_000):
        few = enumerate(SPRAYED[first : first + 2_000], first)
        judge(table, (observed(f"row:{digits}.b{n}.r@shop", n) for n, digits in few))
    assert len(table) <= ROOM + len(RANGES)
    counted = [msgspec.msgpack.decode(table[f"range:{digits}@shop".encode()], type=Node).fast for digits in RANGES]
    assert sum(counted) == pytest.approx(4_000, rel=0.01)


def test_in_a_full_table_ranges_countries_and_tenants_find_room_and_who_asks_does_not() -> None:
    table = {f"device:{n}@shop".encode(): msgspec.msgpack.encode(Node(at_s=START_S)) for n in range(ROOM)}
    asks = [RANGE, KEYS[Kind.TENANT], DEVICE, "block:+99890123.b@shop", "row:+99890123.b.r@shop"]
    weighed = judge(table, map(observed, asks))
    grown = {key.decode() for key in table if not key.startswith(b"device:")}
    trail = {KEYS[kind] for kind in (Kind.COUNTRY, Kind.OPERATOR, Kind.SERIES, Kind.RANGE)}
    assert grown == trail | {KEYS[Kind.TENANT]}
    assert weighed.outcomes == {"applied": 4, "passed_over": 1}
    assert msgspec.msgpack.decode(table[RANGE.encode()], type=Node).fast == 3.0


def test_an_operators_lift_of_a_row_that_has_no_room_lifts_nothing_above_it() -> None:
    table = {f"device:{n}@shop".encode(): b"" for n in range(ROOM)}
    weighed = judge(table, [observed("row:+99890123.b.r@shop", kind=SignalKind.LIFTED)])
    assert (len(table), weighed.outcomes) == (ROOM, {"passed_over": 1})


def test_what_was_only_refused_takes_no_room() -> None:
    table: dict[bytes, bytes] = {}
    judge(table, (observed(f"range:+9989{n:04d}@shop", n, SignalKind.REFUSED) for n in range(100)))
    assert table == {}
