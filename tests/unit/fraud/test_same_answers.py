"""A recorded stream is answered to the last digit as it was before: what is made faster may change nothing."""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random

import msgspec

from watchword.fraud.decide.line import Line, LineKind
from watchword.fraud.decide.recording import Recording
from watchword.fraud.decide.rules import DEFAULT

START_S = 1_772_409_600.0
HOUR_S, DAY_S = 3_600.0, 86_400.0
RANGES = ("+4479460", "+4477009", "+9989012", "+9989398", "+1202555", "+5511998")
# Of the decisions and of every node, by the ruleset that made them: a new model writes them anew, a faster one may not.
DECISIONS = {"2026-12.6": "64b527c5f169edbb"}
NODES = {"2026-12.6": "98c25d3f6edb9064"}


def stream() -> list[Line]:
    """Two days of people, then a block that is pumped, codes typed by a clock, one network's guesses, one number."""
    random = Random(7)
    lines: list[Line] = []
    people = [
        (f"{random.choice(RANGES)}{random.randrange(10_000):04d}", f"81.{n % 9}.{n % 50}.7", n) for n in range(250)
    ]
    for n in range(900):
        to, ip, device = random.choice(people)
        lines += request(f"u{n}", START_S + random.random() * 2 * DAY_S, to, ip, device, random, verified=0.75)
    late_s = START_S + 2 * DAY_S
    for n in range(120):
        at_s, ip = late_s + n * 30.0, f"{random.randrange(1, 200)}.7.{random.randrange(200)}.1"
        lines += request(f"a{n}", at_s, f"+9989399{random.randrange(10_000):04d}", ip, None, random)
        lines += request(f"b{n}", at_s + 1, f"+4479461{5_000 + n}", ip, None, random)
        lines += request(f"f{n}", at_s + 9, f"+5511997{random.randrange(10_000):04d}", ip, n, random, verified=1.0)
        lines += request(
            f"g{n}", at_s + 12, f"+1202556{random.randrange(10_000):04d}", "9.9.9.9", n % 5, random, wrong=4
        )
        lines += request(f"h{n}", at_s + 13, "+44770090001", ip, None, random)
    for n in range(500):
        to, ip, device = random.choice(people)
        lines += request(f"v{n}", late_s + random.random() * 30 * HOUR_S, to, ip, device, random, verified=0.75)
    return sorted(lines, key=lambda line: line.at)


def request(
    identity: str, at_s: float, to: str, ip: str, device: int | None, random: Random,
    *, verified: float = 0.0, wrong: int = 0,
) -> Iterator[Line]:  # fmt: skip
    yield Line(kind=LineKind.REQUEST, at=at_s, id=identity, tenant="shop", to=to, ip=ip, device=device)
    for n in range(wrong):
        yield Line(kind=LineKind.WRONG, at=at_s + 5 + n, id=identity)
    if random.random() < 0.8:
        yield Line(kind=LineKind.RECEIPT, at=at_s + 3, id=identity, state="delivered")
    if random.random() < verified:
        delay_s = random.lognormvariate(2.8, 0.6) if identity[0] in "uv" else 6.0
        yield Line(kind=LineKind.VERIFIED, at=at_s + delay_s, id=identity)
        if random.random() < 0.2:
            yield Line(kind=LineKind.FEEDBACK, at=at_s + delay_s + 60, id=identity, good=identity[0] in "uv")


def test_a_recorded_stream_is_answered_as_before() -> None:
    recording = Recording(DEFAULT)
    decisions = [told for line in stream() if (told := recording.take(line)) is not None]

    assert {each.action for each in decisions} >= {"allow", "delay", "challenge", "block"}
    assert digest(decisions) == DECISIONS[DEFAULT.version]
    nodes = recording.engine.memory.nodes()
    held = [(name, f"{node.pressure:.9g} {node.slow:.9g}", node.level) for name, node in sorted(nodes.items())]
    assert digest(held) == NODES[DEFAULT.version]


def digest(values: object) -> str:
    return blake2b(msgspec.msgpack.encode(values), digest_size=8).hexdigest()
