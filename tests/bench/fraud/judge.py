"""`python -m tests.bench.fraud.judge`: what the judge costs per verification, measured on its real process.

Signals of ordinary people, made by the functions that make them in `fraud`, go to `otp.signals` at a steady rate; CPU
time (utime + stime) is read from /proc. Compare between commits on one machine, at one load.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from uuid import UUID

from tests.bench import processes
from tests.bench.fraud.world import Person, World, world
from tests.support.waiting import paced
from watchword.events.receipt_recorded import ReceiptRecorded, ReceiptWord
from watchword.events.signal_observed import Observation, SignalKind, SignalObserved
from watchword.events.verification import Signals, shared
from watchword.events.verification_ended import Ending, VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud import signals
from watchword.fraud.decide import observe
from watchword.kernel.event import Emit
from watchword.local.kafka import Kind
from watchword.local.stack import Plan, Stack
from watchword.runtime import outbox
from watchword.runtime.outbox import Origin
from watchword.runtime.publishing import Publisher

TICK_S = 0.05
SETTLE_S = 3.0
VERIFIED_SHARE = 0.85


@dataclass(frozen=True)
class Asked:
    """One verification of the load."""

    event: VerificationRequested
    requested_at: datetime


class Load:
    """Verifications one after the other; most end well some seconds later."""

    def __init__(self, home: World, random: Random) -> None:
        self._home = home
        self._random = random
        self._endings: list[tuple[datetime, int, Asked]] = []
        self.count = 0

    def between(self, start: datetime, count: int) -> Iterator[Emit]:
        """The signals of `count` verifications asked for at `start`, and of those that end by then."""
        for _ in range(count):
            self.count += 1
            asked = self.asked(start)
            about = observe.subject_of(asked.event, asked.event.signals)
            yield from observe.of_send(about, SignalKind.SENT, {}, str(asked.event.verification_id), 1, start)
            if self._random.random() < VERIFIED_SHARE:
                heappush(self._endings, (start + timedelta(seconds=self._random.uniform(3, 12)), self.count, asked))
        while self._endings and self._endings[0][0] <= start:
            at, _, asked = heappop(self._endings)
            yield from observe.of_step(delivered(asked), at)
            yield from observe.of_ending(ended(asked), None, at)

    def asked(self, at: datetime) -> Asked:
        """One more person asks."""
        who = self._home.someone(self._random)
        event = VerificationRequested(
            verification_id=UUID(int=self._random.getrandbits(128)),
            tenant=self._home.tenants[0],
            number_token=token(who.number),
            country=who.country.code,
            range=who.number[:-4],
            purpose="login",
            channel="sms",
            policy="default",
            policy_version=1,
            expires_at=at + timedelta(seconds=300),
            signals=claims(who),
        )
        return Asked(event, at)


def claims(who: Person) -> Signals:
    """What a platform says of a person: tokens, as intake makes them."""
    device = token(who.device) if who.device else ""
    return Signals(
        ip_net_token=token(who.ip.rpartition(".")[0]),
        device_token=device,
        owner_token=token(".".join(who.ip.split(".")[:2])),
        block_token=token(who.number[:-3])[:8],
        row_token=token(who.number[:-2])[:8],
        phone_token=token(who.number),
    )


def token(value: str) -> str:
    """As long as a real token."""
    return blake2b(value.encode(), digest_size=16).hexdigest()


def delivered(asked: Asked) -> ReceiptRecorded:
    return ReceiptRecorded(
        **shared(asked.event), attempt_id=asked.event.verification_id, account="alpha", state=ReceiptWord.DELIVERED
    )


def ended(asked: Asked) -> VerificationEnded:
    return VerificationEnded(
        **shared(asked.event),
        state=Ending.APPROVED,
        reason="right_code",
        requested_at=asked.requested_at,
        signals=asked.event.signals,
    )


async def run(stack: Stack, load: Load, *, rate_per_s: float, seconds: float, pause_s: float) -> None:
    """Publish the signals of `rate_per_s` verifications a second for a while, gathered over `pause_s` as fraud does."""
    publisher = Publisher(stack.cluster, client_id="bench")
    await publisher.start()
    waiting: list[Observation] = []
    started_s = published_s = time.monotonic()
    owed = 0.0
    while time.monotonic() - started_s < seconds:
        owed += rate_per_s * TICK_S
        for emit in load.between(datetime.now(UTC), int(owed)):
            if isinstance(emit.event, SignalObserved):
                waiting.extend(emit.event.observations)
        owed -= int(owed)
        if time.monotonic() - published_s >= pause_s:
            published_s = time.monotonic()
            taken, waiting = observe.by_shard(waiting), []
            origin = Origin("fraud", datetime.now(UTC))
            await publisher.publish([outbox.row(each, origin, sequence=0).outgoing() for each in observe.merged(taken)])
        await paced(max(started_s + load_tick(started_s) - time.monotonic(), 0.001))
    await publisher.stop()


def load_tick(started_s: float) -> float:
    """Seconds after the start at which the next tick is due."""
    return (int((time.monotonic() - started_s) / TICK_S) + 1) * TICK_S


async def measure(stack: Stack, options: argparse.Namespace) -> None:
    """Warm up, load, print."""
    load = Load(world(1), Random(1))
    await run(stack, load, rate_per_s=options.rate, seconds=5, pause_s=options.pause)
    pids = {name: pid for name, pid in processes.groups(stack).items() if name in ("judge", "kafka")}
    for _ in range(options.runs):
        before, count = processes.cpu_ms(pids), load.count
        await run(stack, load, rate_per_s=options.rate, seconds=options.seconds, pause_s=options.pause)
        await paced(SETTLE_S)
        used = {name: after - before[name] for name, after in processes.cpu_ms(pids).items()}
        done = load.count - count
        told = ", ".join(f"{name} {ms / done:.3f}" for name, ms in used.items())
        print(f"{options.rate:g}/s for {options.seconds:g} s, {done} verifications: CPU-ms each: {told}")  # noqa: T201


def main() -> None:
    """Start broker, database and judge, measure, stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fraud.judge", description=__doc__)
    parser.add_argument("--rate", type=float, default=150.0, help="verifications a second")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument(
        "--pause",
        type=float,
        default=signals.PAUSE_S * signals.BUSY_TURNS,
        help="seconds over which fraud gathers signals",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as directory:
        stack = Stack(Plan(directory=Path(directory), kafka=Kind.AUTO, groups=("judge",)))
        try:
            stack.start()
            print(f"judge is process {stack.children['judge'].process.pid} of {os.getpid()}")  # noqa: T201
            asyncio.run(measure(stack, options))
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
