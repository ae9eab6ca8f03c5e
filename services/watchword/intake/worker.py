"""The shell of intake: one desk, and two doors that lead to it."""

from watchword.events import topics
from watchword.events.resend_requested import ResendRequested
from watchword.events.verification_ended import VerificationEnded
from watchword.events.verification_refused import VerificationRefused
from watchword.events.verification_requested import VerificationRequested
from watchword.intake.backlog import Backlog
from watchword.intake.desk import Desk
from watchword.intake.inbox import Inbox
from watchword.intake.metrics import IntakeMetrics
from watchword.intake.routes import IntakeRoutes
from watchword.intake.settings import IntakeSettings
from watchword.intake.subjects import Subjects
from watchword.intake.submitted import Submissions
from watchword.intake.understanding import Understanding
from watchword.kernel.feature import PILE_UPS
from watchword.runtime.keyring import Purpose
from watchword.runtime.mirror import LevelMirror
from watchword.runtime.process import Context
from watchword.runtime.stop import Service
from watchword.runtime.telling import Teller

READS = (topics.INBOX, topics.RISK_LEVELS)
WRITES = (VerificationRequested, ResendRequested, VerificationRefused, VerificationEnded)
KEYS = frozenset({Purpose.NUMBER_TOKEN, Purpose.SIGNAL_TOKEN, Purpose.SUBJECT, Purpose.HANDOVER})

TURNS_WITHIN_S = 15.0
LIVE_WITHIN_S = 120.0


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
        kinds=PILE_UPS,
    )
    understanding = Understanding(context.keyring, mirror)
    inbox = Inbox(
        desk,
        Submissions(understanding),
        reader=context.reader,
        backlog=backlog,
        configuration=context.configuration,
        clock=context.clock,
        check=context.health.check("intake.inbox", ready_within_s=TURNS_WITHIN_S, live_within_s=LIVE_WITHIN_S),
        metrics=metrics,
    )
    _mount(context, desk, understanding, backlog, metrics)
    return [teller, desk, backlog, mirror, inbox]


def _mount(
    context: Context, desk: Desk, understanding: Understanding, backlog: Backlog, metrics: IntakeMetrics
) -> None:
    routes = IntakeRoutes(
        desk,
        understanding=understanding,
        subjects=Subjects(context.keyring),
        backlog=backlog,
        configuration=context.configuration,
        clock=context.clock,
        pool=context.pool,
        metrics=metrics,
    )
    context.door.mount(*routes.routes(), configuration=context.configuration, clock=context.clock)
