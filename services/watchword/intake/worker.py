"""The shell of intake: one desk, and two doors that lead to it."""

from typing import Any

from watchword.events import topics
from watchword.events.feedback_given import FeedbackGiven
from watchword.events.resend_requested import ResendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_refused import VerificationRefused
from watchword.events.verification_requested import VerificationRequested
from watchword.intake.admission import Admission
from watchword.intake.backlog import Backlog
from watchword.intake.desk import Desk
from watchword.intake.gate import Gate
from watchword.intake.inbox import Inbox
from watchword.intake.listing import Listing
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.reading import Reading
from watchword.intake.routes import IntakeRoutes
from watchword.intake.settings import IntakeSettings
from watchword.intake.subjects import Subjects
from watchword.intake.submitted import Submissions
from watchword.intake.understanding import Understanding
from watchword.intake.waiting import Outcomes
from watchword.kernel.feature import DESTINATIONS
from watchword.runtime.crowding import Turnstile
from watchword.runtime.http import Route
from watchword.runtime.keyring import Purpose
from watchword.runtime.mirror import LevelMirror
from watchword.runtime.process import Context
from watchword.runtime.stop import Service
from watchword.runtime.telling import Teller

READS = (topics.INBOX, topics.RISK_LEVELS)
WRITES = (VerificationRequested, ResendRequested, VerificationRefused, VerificationEnded, FeedbackGiven)
KEYS = frozenset(
    {Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN, Purpose.SUBJECT, Purpose.HANDOVER, Purpose.CURSOR, Purpose.INBOX}
)

TURNS_WITHIN_S = 15.0
LIVE_WITHIN_S = 120.0
READS_AT_ONCE = 2  # of the pool's four connections: the desk is never kept from the others
TENANT_READS_WAITING_MAX = 200
READ_WAITS_MAX_S = 4.0


def described() -> list[Route[Any]]:
    """Its routes as they are told of where another process serves them; nothing of them can be called."""
    nobody: Any = None
    routes = IntakeRoutes(
        nobody,
        understanding=nobody,
        reading=nobody,
        outcomes=nobody,
        gate=nobody,
        configuration=nobody,
        clock=nobody,
        metrics=nobody,
    )
    return [*routes.routes(), Listing(pool=nobody, turnstile=nobody, subjects=nobody, keyring=nobody).route()]


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings = IntakeSettings.load()
    metrics = IntakeMetrics(context.metrics)
    teller = Teller("intake", publisher=context.publisher, pool=context.pool)
    desk = Desk(
        settings,
        pool=context.pool,
        clock=context.clock,
        keyring=context.keyring,
        teller=teller,
        metrics=metrics,
    )
    backlog = Backlog(pool=context.pool, age_max_s=settings.backlog_max_s, metrics=metrics)
    mirror = LevelMirror(
        context.cluster,
        member=f"intake-mirror-{context.settings.ordinal}",
        clock=context.clock,
        check=context.health.check("intake.mirror", ready_within_s=TURNS_WITHIN_S),
        kinds=DESTINATIONS,
    )
    understanding = Understanding(context.keyring, mirror)
    inbox = Inbox(
        desk,
        Submissions(understanding, context.keyring),
        reader=context.reader,
        backlog=backlog,
        configuration=context.configuration,
        clock=context.clock,
        check=context.health.check("intake.inbox", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S),
        metrics=metrics,
    )
    outcomes = Outcomes(pool=context.pool, waiting_max=settings.outcomes_waiting_max, metrics=metrics)
    gate = _gate(settings, backlog, metrics)
    _mount(context, desk, understanding, outcomes, gate, metrics)
    return [teller, desk, backlog, mirror, inbox, outcomes]


def _gate(settings: IntakeSettings, backlog: Backlog, metrics: IntakeMetrics) -> Gate:
    admission = Admission(
        wait_max_s=settings.wait_max_s, tenant_share=settings.tenant_share, inside_min=4 * settings.batch_max
    )
    return Gate(admission, backlog, ahead_max_s=settings.ahead_max_s, metrics=metrics)


def _mount(
    context: Context,
    desk: Desk,
    understanding: Understanding,
    outcomes: Outcomes,
    gate: Gate,
    metrics: IntakeMetrics,
) -> None:
    subjects = Subjects(context.keyring)
    turnstile = Turnstile(READS_AT_ONCE, of_one_max=TENANT_READS_WAITING_MAX, wait_max_s=READ_WAITS_MAX_S)
    routes = IntakeRoutes(
        desk,
        understanding=understanding,
        reading=Reading(pool=context.pool, turnstile=turnstile, subjects=subjects),
        outcomes=outcomes,
        gate=gate,
        configuration=context.configuration,
        clock=context.clock,
        metrics=metrics,
    )
    listing = Listing(pool=context.pool, turnstile=turnstile, subjects=subjects, keyring=context.keyring)
    mounted = (*routes.routes(), listing.route())
    context.door.mount(*mounted, configuration=context.configuration, clock=context.clock)
