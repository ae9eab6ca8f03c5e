"""`python -m tests.bench.fraud.assess`: what the assessment adds to a request, in the real processes on real servers.

Verifications lie in Postgres as intake leaves them; their requests are published at a steady rate, whatever becomes of
them (open loop); fraud answers on `otp.assessments` with judge beside it. What is added runs from a request handed to
Kafka to its assessment handed to Kafka, the row's change committed in between: Kafka's hop, the wait for the next turn
(15 ms at the most) and the transaction. CPU is of /proc, the parts are what fraud measures of its batches: how old the
oldest request is when it is taken (hop and turn), how long the batch takes, and in it decisions and Kafka's acks; what
is left of a batch are its statements. A mean over batches, so the parts tell where time goes and not what a user waits.
"""

import argparse
import asyncio
import os
import re
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import msgspec
import uuid_utils.compat
from aiokafka import AIOKafkaConsumer

from tests.bench import processes
from tests.bench.fraud.judge import TICK_S, Load, load_tick
from tests.bench.fraud.world import world
from tests.support.waiting import eventually, paced
from watchword.events import topics
from watchword.events.verification_requested import VerificationRequested
from watchword.kernel.event import Emit
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack
from watchword.runtime import outbox
from watchword.runtime.outbox import Origin
from watchword.runtime.postgres import statements
from watchword.runtime.publishing import Publisher

WARM_S = 5.0
ANSWERED_WITHIN_S = 60.0
LIFE = timedelta(minutes=10)
ROWS_A_STATEMENT = 5_000
_SQL = statements("tests.bench.fraud", "assess.sql")
_MEASURED = re.compile(
    r"^watchword_(?:fraud|runtime)_(scoring_seconds|age_seconds|batch_seconds|batch_size|publish_seconds)_(sum|count)"
    r"(?:\{stage=\"fraud\"\})? (\S+)$",
    re.MULTILINE,
)


async def begun(dsn: str, load: Load, count: int) -> list[VerificationRequested]:
    """So many verifications as they lie in Postgres, and their events."""
    expires_at = datetime.now(UTC) + LIFE
    made = [
        msgspec.structs.replace(load.asked(expires_at).event, verification_id=uuid_utils.compat.uuid7())
        for _ in range(count)
    ]
    made = [msgspec.structs.replace(each, expires_at=expires_at) for each in made]
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=60)
    try:
        for first in range(0, count, ROWS_A_STATEMENT):
            rows = [
                (e.verification_id, e.tenant, e.number_token, e.country, e.range, _json(e.signals), e.expires_at)
                for e in made[first : first + ROWS_A_STATEMENT]
            ]
            await connection.execute(_SQL["begin"], *map(list, zip(*rows, strict=True)))
    finally:
        await connection.close(timeout=10)
    return made


class Answers:
    """When each request was asked and answered, in milliseconds since the epoch by Kafka's records."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.asked: dict[bytes, int] = {}
        self.answered: dict[bytes, int] = {}

    async def follow(self) -> None:
        """Note every request and every assessment; ends when cancelled."""
        consumer = AIOKafkaConsumer(
            self._stack.cluster.topic_prefix + topics.REQUESTS,
            self._stack.cluster.topic_prefix + topics.ASSESSMENTS,
            **self._stack.cluster.options(),
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            while True:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    seen = self.asked if partition.topic.endswith(topics.REQUESTS) else self.answered
                    seen.update((record.key, record.timestamp) for record in records)
        finally:
            await consumer.stop()

    def added_ms(self, of: Sequence[VerificationRequested]) -> list[int]:
        """Of every request that was answered, what it waited."""
        keys = [str(each.verification_id).encode() for each in of]
        return [self.answered[key] - self.asked[key] for key in keys if key in self.answered]


async def publish(stack: Stack, requests: Sequence[VerificationRequested], rate_per_s: float) -> None:
    """Publish at a steady rate, a little every `TICK_S`."""
    publisher = Publisher(stack.cluster, client_id="bench")
    await publisher.start()
    started_s, sent = time.monotonic(), 0
    while sent < len(requests):
        due = min(int((time.monotonic() - started_s + TICK_S) * rate_per_s), len(requests))
        origin = Origin("intake", datetime.now(UTC))
        emits = [Emit(each, str(each.verification_id)) for each in requests[sent:due]]
        if emits:
            await publisher.publish([outbox.row(each, origin, sequence=1).outgoing() for each in emits])
        sent = due
        await paced(max(started_s + load_tick(started_s) - time.monotonic(), 0.001))
    await publisher.stop()


Measured = dict[tuple[str, str], float]
"""Sums and counts of what fraud measures, by the name of the measure."""


def measured(ops_port: int) -> Measured:
    """What fraud has counted so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=10) as page:
        return {(name, what): float(value) for name, what, value in _MEASURED.findall(page.read().decode())}


def parts_between(before: Measured, after: Measured) -> str:
    """Where the time of a batch went, in words."""
    spent = {each: value - before.get(each, 0.0) for each, value in after.items()}

    def mean(name: str, unit: float) -> float:
        return unit * spent[name, "sum"] / max(spent[name, "count"], 1)

    size, batch_ms, acks_ms = mean("batch_size", 1), mean("batch_seconds", 1e3), mean("publish_seconds", 1e3)
    decision_us = mean("scoring_seconds", 1e6)
    decisions_ms = size * decision_us / 1e3
    return (
        f"{decision_us:.0f} µs a decision; batches of {size:.1f}: {mean('age_seconds', 1e3):.1f} ms until taken (hop "
        f"and turn), then {batch_ms:.1f} ms ({decisions_ms:.1f} decisions, {acks_ms:.1f} acks, "
        f"{batch_ms - decisions_ms - acks_ms:.1f} statements and the rest)"
    )


async def measure(stack: Stack, options: argparse.Namespace) -> str:
    """Warm up, load, and what came of it, in words."""
    load, answers = Load(world(1), Random(1)), Answers(stack)
    following = asyncio.create_task(answers.follow())
    warm = await begun(stack.dsn, load, int(options.rate * WARM_S))
    asked = await begun(stack.dsn, load, int(options.rate * options.seconds))
    await publish(stack, warm, options.rate)
    await _answered(answers, len(warm))
    pids = {
        name: pid for name, pid in processes.groups(stack).items() if name in ("fraud", "judge", "postgres", "kafka")
    }
    port = stack.children["fraud"].ops_port
    before, counted = processes.cpu_ms(pids), measured(port)
    await publish(stack, asked, options.rate)
    await _answered(answers, len(warm) + len(asked))
    used = {name: after - before[name] for name, after in processes.cpu_ms(pids).items()}
    parts = parts_between(counted, measured(port))
    following.cancel()
    await asyncio.wait({following})
    added = answers.added_ms(asked)
    cpu = ", ".join(f"{name} {ms / len(asked):.3f}" for name, ms in used.items())
    return (
        f"{options.rate:g}/s for {options.seconds:g} s, {len(added)} of {len(asked)} answered: "
        f"{statistics.median(added):.0f} ms added (median), {statistics.quantiles(added, n=100)[98]:.0f} ms p99; "
        f"{parts}; CPU-ms each: {cpu}; "
        f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


async def _answered(answers: Answers, count: int) -> None:
    async def all_of_them() -> bool:
        return len(answers.answered) >= count

    await eventually(all_of_them, within_s=ANSWERED_WITHIN_S, what=f"{count} assessments")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def main() -> None:
    """Start broker, database, fraud and judge, measure, stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fraud.assess", description=__doc__)
    parser.add_argument("--rate", type=float, default=1_000.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as directory:
        stack = Stack(Plan(directory=Path(directory), kafka=Kind.AUTO, groups=("fraud", "judge")))
        try:
            stack.start()
            print(asyncio.run(measure(stack, options)))  # noqa: T201
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
