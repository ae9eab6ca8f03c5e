"""The shell of fraud: two loops and a mirror. Assess answers requests; learn turns endings into signals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from watchword.events import topics
from watchword.events.code_checked import CodeChecked
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.resend_requested import ResendRequested
from watchword.events.signal_observed import SignalObserved
from watchword.events.verification_assessed import ModeReason, VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_requested import VerificationRequested
from watchword.fraud.decide import observe
from watchword.fraud.decide.assess import Asked, Request, decide, learn, matters_who_asks
from watchword.fraud.decide.modes import resolved
from watchword.fraud.decide.observe import Known
from watchword.fraud.decide.subject import Subject
from watchword.fraud.decide.trials import Trials
from watchword.fraud.metrics import FraudMetrics, SpendingMetrics
from watchword.fraud.purchases import Spending, purchases
from watchword.fraud.rulesets import Rulesets
from watchword.fraud.seasons import Seasons
from watchword.fraud.settings import FraudSettings
from watchword.fraud.signals import SignalBuffer
from watchword.kernel.event import Event
from watchword.kernel.tenancy import Tenant
from watchword.kernel.verdict import Done, Verdict, Write
from watchword.kernel.verification import State
from watchword.runtime.at_once import AtOnce, Seen
from watchword.runtime.incoming import Incoming
from watchword.runtime.keyring import Purpose
from watchword.runtime.known import known
from watchword.runtime.loop import Loop, Step
from watchword.runtime.mirror import LevelMirror
from watchword.runtime.postgres import Connection, statements
from watchword.runtime.process import Context
from watchword.runtime.stop import Service, Turning

READS = (topics.REQUESTS, topics.LIFECYCLE, topics.RISK_LEVELS)
WRITES = (VerificationAssessed, SignalObserved)
LEARNS_FROM = (VerificationEnded, FeedbackGiven, CodeChecked, ReceiptRecorded)
KEYS: frozenset[Purpose] = frozenset()

MIRROR_FRESH_S = 30.0
# A user waits for the assessment, nobody for what an ending teaches.
ASSESS_EVERY_S = 0.015
LEARN_EVERY_S = 0.25
CAPS_WATCHED_EVERY_S = 1.0
SETTLED_EVERY_S = 5.0
_SQL = statements("watchword.fraud")


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order: no assessment before the mirror has caught up."""
    rules = Rulesets(context.configuration, FraudSettings.load().rules())
    metrics = FraudMetrics(context.metrics)
    mirror = LevelMirror(
        context.cluster,
        member=f"fraud-mirror-{context.settings.ordinal}",
        clock=context.clock,
        check=context.health.check("fraud.mirror", ready_within_s=MIRROR_FRESH_S),
    )
    signals = SignalBuffer(context.publisher, context.clock, metrics)
    gathering = Gathering(context, mirror, rules, metrics)
    learning = Step(
        worker="fraud",
        group="fraud-outcomes",
        reads=(topics.LIFECYCLE,),
        handles=LEARNS_FROM,
        gather=gathering.in_force,
        decide=concluded,
        statements={name: _SQL[name] for name in ("settle", "remember_verified", "forget_verified")},
        merge=signals.take,
        every_s=LEARN_EVERY_S,
    )
    spending = Spending(context.pool, SpendingMetrics(context.metrics))
    return [
        mirror,
        signals,
        Loop.of(assessing(gathering, metrics, signals), context),
        Loop.of(learning, context),
        Turning("fraud.caps", spending.watch, pause_s=CAPS_WATCHED_EVERY_S),
        Turning("fraud.settling", spending.settle, pause_s=SETTLED_EVERY_S),
    ]


def assessing(gathering: "Gathering", metrics: FraudMetrics, signals: SignalBuffer) -> Step[Asked]:
    """The step that answers requests."""
    return Step(
        worker="fraud",
        group="fraud",
        reads=(topics.REQUESTS,),
        handles=(VerificationRequested, ResendRequested),
        gather=gathering.asked,
        decide=timed(metrics),
        statements={name: _SQL[name] for name in ("assess", "reserve", "count_refused")},
        at_once=AtOnce(gathering.looked_at, assessed_at_once, _SQL["assess_at_once"]),
        merge=signals.take,
        count=metrics.count,
        every_s=ASSESS_EVERY_S,
    )


def assessed_at_once(verdict: Done) -> tuple[Any, ...] | None:
    """An assessment as the row of `assess_at_once`, None for one that money hangs on."""
    names = [write.statement for write in verdict.writes]
    return verdict.writes[0].row if names == ["assess"] else None


class Gathering:
    """Brings together what a decision needs: the rows under lock, the tenant's choices, the levels in force."""

    def __init__(self, context: Context, mirror: LevelMirror, rules: Rulesets, metrics: FraudMetrics) -> None:
        self._configuration = context.configuration
        self._clock = context.clock
        self._mirror = mirror
        self._rules = rules
        self._metrics = metrics
        self._seasons = Seasons()
        self._trials = Trials()

    async def asked(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Asked]:
        """The facts of every request in the batch whose verification exists, by Kafka key."""
        requests = [
            (each.key, each.event) for each in batch if isinstance(each.event, VerificationRequested | ResendRequested)
        ]
        rows = await connection.fetch(_SQL["facts"], [event.verification_id for _, event in requests])
        read = {row["verification_id"]: row for row in rows}
        configuration, now = self._configuration.current(), self._clock.now()
        self._metrics.mirrored_size.set(len(self._mirror))
        there = [(key, event) for key, event in requests if event.verification_id in read]
        first = [event.tenant for _, event in there if read[event.verification_id]["sends_assessed"] < event.send_no]
        seasoned = await self._seasons.count(connection, first, configuration, now)
        bought = await purchases(connection, there, configuration, now)
        asked = {
            key: replace(
                self._facts(read[event.verification_id], event, configuration.tenant(event.tenant), seasoned, now),
                purchase=bought.get(key),
            )
            for key, event in there
        }
        return await with_known(connection, there, asked)

    async def looked_at(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Seen[Asked]]:
        """The same without a lock, of requests that nothing is counted for but themselves: while no money is capped, of
        tenants that are not monitored for being new."""
        configuration, now = self._configuration.current(), self._clock.now()
        if configuration.caps:
            return {}
        requests = [
            (each.key, each.event)
            for each in batch
            if isinstance(each.event, VerificationRequested | ResendRequested)
            and not self._seasons.counts(configuration, each.event.tenant)
        ]
        if not requests:
            return {}
        rows = await connection.fetch(_SQL["look"], [event.verification_id for _, event in requests])
        read = {row["verification_id"]: row for row in rows}
        there = [(key, event) for key, event in requests if event.verification_id in read]
        asked = {
            key: self._facts(
                read[event.verification_id], event, configuration.tenant(event.tenant), self._seasons.over, now
            )
            for key, event in there
        }
        asked = await with_known(connection, there, asked)
        return {
            key: Seen(asked[key], read[event.verification_id]["seq"], str(event.verification_id))
            for key, event in there
        }

    async def in_force(self, batch: Sequence[Incoming], connection: Connection) -> Mapping[str, Known]:
        """What is known of every ending and feedback in the batch, by Kafka key; other events say all themselves."""
        now = self._clock.now()
        endings = [
            (each.key, each.event) for each in batch if isinstance(each.event, VerificationEnded | FeedbackGiven)
        ]
        return {key: self._known(observe.subject_of(event, event.signals), now) for key, event in endings}

    def _known(self, about: Subject, now: datetime) -> Known:
        mirrored = self._mirror.levels(about.features, now)
        return Known(about, {kind: each.level for kind, each in mirrored.items()})

    def _facts(
        self,
        row: asyncpg.Record,
        event: VerificationRequested | ResendRequested,
        tenant: Tenant | None,
        seasoned: Mapping[str, ModeReason],
        now: datetime,
    ) -> Asked:
        about = observe.subject_of(event, event.signals)
        levels = self._mirror.levels(about.features, now)
        for mirrored in levels.values():
            self._metrics.feature_age_seconds.observe(max((now - mirrored.told_at).total_seconds(), 0.0))
        resolution = resolved(tenant.fraud_mode if tenant else None, seasoned.get(event.tenant))
        return Asked(
            state=State(row["state"]),
            sends_assessed=row["sends_assessed"],
            rules=self._rules.live(),
            mode=resolution.mode,
            mode_reason=resolution.reason,
            candidate=self._rules.shadow(),
            trials=self._trials,
            countries=tenant.countries if tenant else None,
            levels={kind: mirrored.level for kind, mirrored in levels.items()},
            about=about,
            silenced=tenant.silenced if tenant else frozenset(),
        )


async def with_known(
    connection: Connection, requests: Sequence[tuple[str, Request]], asked: dict[str, Asked]
) -> dict[str, Asked]:
    """The facts by key, those of known users marked so: of requests that something speaks against, and mostly that is
    none. Raises what Postgres raises."""
    numbers = {
        key: (event.tenant, event.number_token) for key, event in requests if matters_who_asks(event, asked[key])
    }
    found = await known(connection, numbers.values())
    return asked | {key: replace(asked[key], known=True) for key, number in numbers.items() if number in found}


def concluded(event: Event, facts: Known | None, now: datetime) -> Verdict:
    """What is learned, and with an ending the money of its sends settled."""
    verdict = learn(event, facts, now)
    if not isinstance(event, VerificationEnded) or not isinstance(verdict, Done):
        return verdict
    return Done((*verdict.writes, Write("settle", str(event.verification_id), ())), verdict.emits)


def timed(metrics: FraudMetrics) -> Callable[[Event, Asked | None, datetime], Verdict]:
    """`decide` with its time measured and its answer counted."""

    def measured(event: Event, facts: Asked | None, now: datetime) -> Verdict:
        started = time.perf_counter()
        verdict = decide(event, facts, now)
        metrics.scoring_seconds.observe(time.perf_counter() - started)
        return verdict

    return measured
