"""The shell of callbacks: a loop that writes down what is owed to whom, and lanes that deliver it."""

import ssl
from dataclasses import replace
from functools import partial

from watchword.callbacks.audience import Audiences
from watchword.callbacks.caller import Caller
from watchword.callbacks.decide.tell import TELLABLE, decide
from watchword.callbacks.ledger import Ledger
from watchword.callbacks.metrics import CallbacksMetrics
from watchword.callbacks.results import WaitingResults
from watchword.callbacks.sender import Sender
from watchword.callbacks.settings import CallbacksSettings
from watchword.callbacks.sifting import SiftingConsumer
from watchword.callbacks.store import OWE
from watchword.callbacks.tenant_topics import LOOK_EVERY_S, TenantTopics
from watchword.events import topics
from watchword.events.callback_delivered import CallbackDelivered
from watchword.events.verification_ended import VerificationEnded
from watchword.runtime.keyring import Purpose
from watchword.runtime.loop import LIVE_WITHIN_S, TURNS_WITHIN_S, Loop, Step
from watchword.runtime.process import Context
from watchword.runtime.settings import SettingsError
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller

READS = (topics.LIFECYCLE,)
WRITES = (CallbackDelivered, VerificationEnded)
KEYS = frozenset({Purpose.ENDPOINT})
OWE_EVERY_S = 0.2


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order. Raises SettingsError."""
    settings = CallbacksSettings.load()
    metrics = CallbacksMetrics(context.metrics)
    current = context.configuration.current
    own_topics = TenantTopics(context.cluster, current, production=context.settings.partitions == "production")
    teller = Teller("callbacks-results", publisher=context.publisher, pool=context.pool)
    ledger = Ledger(context.pool, context.clock, teller, metrics)
    sender = Sender(
        settings,
        ledger=ledger,
        caller=Caller(settings, trust=trust_of(settings)),
        clock=context.clock,
        current=current,
        metrics=metrics,
        check=context.health.check("callbacks.sender", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S),
    )
    audiences = Audiences(current, own_topics)
    step = Step(
        worker="callbacks",
        group="callbacks",
        reads=READS,
        handles=TELLABLE,
        gather=audiences.gather,
        decide=decide,
        statements=OWE,
        every_s=OWE_EVERY_S,
    )
    look = Turning("callbacks.topics", own_topics.turn, pause_s=LOOK_EVERY_S)
    waiting = WaitingResults(context.pool, context.clock, teller, own_topics.standing)
    tell = Turning("callbacks.results", waiting.turn, pause_s=LOOK_EVERY_S)
    sifting = partial(context.reader, consumer=partial(SiftingConsumer, audiences.may_want))
    return [teller, ledger, look, tell, sender, Loop.of(step, replace(context, reader=sifting))]


def trust_of(settings: CallbacksSettings) -> ssl.SSLContext | None:
    """Whom endpoints' certificates are checked against; None for the system's. Raises SettingsError."""
    if not settings.ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError):
        name = settings.variable("ca_file")
        raise SettingsError(f"{name}: {settings.ca_file} cannot be read as certificates. Name a PEM file.") from None
