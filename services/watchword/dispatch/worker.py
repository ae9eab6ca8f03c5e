"""The shell of dispatch: what is built, in which order it starts, and what it may read, write and open."""

import random
import uuid
from collections.abc import Callable

from watchword.dispatch.asking import PAUSE_S, Asking
from watchword.dispatch.awake import LOOK_EVERY_S
from watchword.dispatch.carriers import Carriers
from watchword.dispatch.decide.hedge import Allowance
from watchword.dispatch.feed import READS, Feed
from watchword.dispatch.feedback import Feedback
from watchword.dispatch.hedging import PAUSE_S as HEDGE_EVERY_S
from watchword.dispatch.hedging import Hedging
from watchword.dispatch.ledger import Ledger
from watchword.dispatch.line import Line
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.noting import Noting
from watchword.dispatch.opening import Opener
from watchword.dispatch.reports import Reports
from watchword.dispatch.scores import PAUSE_S as SCORE_EVERY_S
from watchword.dispatch.scores import Scores
from watchword.dispatch.sending import Sender
from watchword.dispatch.settings import DispatchSettings
from watchword.dispatch.shares import Shares
from watchword.dispatch.speaking import HttpSpeaker, Speaker
from watchword.dispatch.store import Store
from watchword.events.attempt_made import AttemptMade
from watchword.events.receipt_received import ReceiptReceived
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.send_requested import SendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.gateways.catalog import ALL
from watchword.gateways.contract import Account
from watchword.gateways.sessions import AnyGateway, SessionGateway
from watchword.runtime.keeping import Keeper
from watchword.runtime.keyring import Purpose
from watchword.runtime.loop import LIVE_WITHIN_S, TURNS_WITHIN_S
from watchword.runtime.process import Context
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller

__all__ = ["KEYS", "READS", "WRITES", "build"]

WRITES = (AttemptMade, ReceiptReceived, ReceiptRecorded, SendRequested, VerificationEnded)
KEYS = frozenset({Purpose.SENDING, Purpose.SUBJECT, Purpose.ACCOUNT, Purpose.RECEIPT})
HOLD_EVERY_S = 1.0


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings = DispatchSettings.load()
    metrics = DispatchMetrics(context.metrics)
    reports = Reports(_keeper(context, settings, metrics), metrics)

    def speaking(account: Account, gateway: AnyGateway) -> Speaker:
        if isinstance(gateway, SessionGateway):
            return Line(account, gateway, reports.take, metrics, random.random)
        return HttpSpeaker(account, gateway)

    def sharing(owner: str, carriers: Carriers) -> Service:
        return Shares(context.pool, owner, context.configuration, carriers.share)

    feedback = Feedback(context.pool, context.configuration.current, context.clock, metrics)
    return [*services(context, settings, metrics, reports, speaking, sharing), feedback]


def services(
    context: Context,
    settings: DispatchSettings,
    metrics: DispatchMetrics,
    reports: Reports,
    speaking: Callable[[Account, AnyGateway], Speaker],
    sharing: Callable[[str, Carriers], Service],
) -> list[Service]:
    """The services in start order, whoever speaks to the accounts and shares their pace out."""
    owner = f"{context.worker}-{context.settings.ordinal}-{uuid.uuid4().hex[:12]}"
    store = Store(context.pool, owner)
    teller = Teller("dispatch", publisher=context.publisher, pool=context.pool)
    ledger = Ledger(store, context.pool, teller, context.clock)
    wait_max_s = settings.account_wait_ms / 1000
    scores = Scores(context.pool, context.configuration, context.clock)
    scoring = Turning("dispatch.scores", scores.turn, pause_s=SCORE_EVERY_S)
    carriers = Carriers(context.configuration, ALL, speaking, metrics, wait_max_s=wait_max_s, known=scores.of)
    shares = sharing(owner, carriers)
    looking = Turning("dispatch.awake", carriers.look, pause_s=LOOK_EVERY_S)
    holding = Turning("dispatch.lines", carriers.hold, pause_s=HOLD_EVERY_S)
    context.metrics.before_each_look(carriers.show)
    allowance = Allowance()
    opener = Opener(context.keyring)
    sender = Sender(ledger, carriers, opener, context.clock, metrics, owner=owner, allowance=allowance)
    turning = context.health.check("dispatch.feed", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S)
    feed = Feed(context.reader, store, ledger, sender, context.clock, settings, context.runtime_metrics, turning)
    noting = Noting(context.pool, teller, context.clock)
    asking = Turning("dispatch.asking", Asking(noting, carriers).turn, pause_s=PAUSE_S)
    hedge = Hedging(noting, store, carriers, allowance, metrics).turn
    hedging = Turning("dispatch.hedging", hedge, pause_s=HEDGE_EVERY_S)
    return [teller, ledger, reports, scoring, carriers, shares, looking, holding, asking, hedging, feed]


def _keeper(context: Context, settings: DispatchSettings, metrics: DispatchMetrics) -> Keeper:
    return Keeper(
        "dispatch",
        publisher=context.publisher,
        pool=context.pool,
        keyring=context.keyring,
        clock=context.clock,
        publish_deadline_s=settings.report_publish_deadline_s,
        detoured=metrics.detours.add,
    )
