"""The shell of dispatch: what is built, in which order it starts, and what it may read, write and open."""

import uuid

from watchword.dispatch.asking import PAUSE_S, Asking
from watchword.dispatch.carriers import Carriers
from watchword.dispatch.feed import READS, Feed
from watchword.dispatch.ledger import Ledger
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.opening import Opener
from watchword.dispatch.sending import Sender
from watchword.dispatch.settings import DispatchSettings
from watchword.dispatch.store import Store
from watchword.events.attempt_made import AttemptMade
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.send_requested import SendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.gateways.catalog import GATEWAYS
from watchword.runtime.keyring import Purpose
from watchword.runtime.loop import LIVE_WITHIN_S, TURNS_WITHIN_S
from watchword.runtime.process import Context
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller

__all__ = ["KEYS", "READS", "WRITES", "build"]

WRITES = (AttemptMade, ReceiptRecorded, SendRequested, VerificationEnded)
KEYS = frozenset({Purpose.SENDING, Purpose.SUBJECT, Purpose.ACCOUNT})


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings = DispatchSettings.load()
    metrics = DispatchMetrics(context.metrics)
    owner = f"{context.worker}-{context.settings.ordinal}-{uuid.uuid4().hex[:12]}"
    store = Store(context.pool, owner)
    teller = Teller("dispatch", publisher=context.publisher, pool=context.pool)
    ledger = Ledger(store, context.pool, teller, context.clock)
    carriers = Carriers(context.configuration, GATEWAYS, metrics, wait_max_s=settings.account_wait_ms / 1000)
    context.metrics.before_each_look(carriers.show)
    sender = Sender(ledger, carriers, Opener(context.keyring), context.clock, metrics, owner=owner)
    turning = context.health.check("dispatch.feed", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S)
    feed = Feed(context.reader, store, ledger, sender, context.clock, settings, context.runtime_metrics, turning)
    asking = Asking(context.pool, carriers, teller, context.clock)
    return [teller, ledger, carriers, Turning("dispatch.asking", asking.turn, pause_s=PAUSE_S), feed]
