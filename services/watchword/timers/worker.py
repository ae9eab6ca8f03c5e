"""The shell of timers: a handful of turns over Postgres, each bounded, each shared by as many timers as run."""

from datetime import timedelta
from functools import partial

from watchword.events import topics
from watchword.events.attempt_made import AttemptMade
from watchword.events.code_checked import CodeChecked
from watchword.events.receipt_recorded import ReceiptRecorded
from watchword.events.send_requested import SendRequested
from watchword.events.verification_assessed import VerificationAssessed
from watchword.events.verification_ended import VerificationEnded
from watchword.kernel.event import Event
from watchword.runtime.keyring import Purpose
from watchword.runtime.process import Context
from watchword.runtime.stop import Service, Turning
from watchword.runtime.telling import Teller
from watchword.timers.decide import decide_abandoned, decide_due, decide_late, decide_stale, decide_unreported
from watchword.timers.lag import Lag
from watchword.timers.looking import Looking
from watchword.timers.metrics import TimersMetrics
from watchword.timers.overdue import Kind, Means, Overdue
from watchword.timers.parked import ParkedTooLong
from watchword.timers.settings import TimersSettings
from watchword.timers.store import SQL, due_of, late_of, stale_of, unreported_of
from watchword.timers.sweep import Sweep
from watchword.timers.tidying import Tidying

READS: tuple[str, ...] = ()
WRITES: tuple[type[Event], ...] = (
    VerificationAssessed, SendRequested, AttemptMade, CodeChecked, ReceiptRecorded, VerificationEnded,
)  # fmt: skip
KEYS: frozenset[Purpose] = frozenset()
ABANDONED_LOOKED_AT_MAX = 2_000
BURIES = (topics.dead(topics.RECEIPTS),)


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings = TimersSettings.load()
    metrics = TimersMetrics(context.metrics)
    teller = Teller("timers", publisher=context.publisher, pool=context.pool)
    means = Means(context.pool, context.clock, teller, metrics)
    check = context.health.check("timers.lag")
    lag = Lag(context.cluster, clock=context.clock, metrics=context.metrics, check=check)
    tidying = Tidying(settings, pool=context.pool, metrics=metrics)
    return [
        teller,
        lag,
        *overdue(context, settings, means),
        Turning("timers.tidying", tidying.turn, pause_s=settings.tidy_pause_s),
        Turning("timers.lag", lag.turn, pause_s=settings.lag_pause_s),
    ]


def overdue(context: Context, settings: TimersSettings, means: Means) -> list[Service]:
    """The turns that give what is overdue what it is owed."""
    rows, grace = settings.rows_max, timedelta(seconds=settings.late_grace_s)
    due = Overdue(Kind("due_verifications", SQL["due_verifications"], (rows,), due_of, decide_due), means)
    stale = Overdue(Kind("stale_claims", SQL["stale_claims"], (rows,), stale_of, decide_stale), means)
    late = Overdue(Kind("late_attempts", SQL["late_attempts"], (grace, rows), late_of, decide_late), means)
    abandoned_of = (ABANDONED_LOOKED_AT_MAX, rows)
    abandoned = Overdue(
        Kind("abandoned_attempts", SQL["abandoned_attempts"], abandoned_of, late_of, decide_abandoned), means
    )
    silent = Overdue(Kind("unreported_attempts", SQL["unreported"], (rows,), unreported_of, decide_unreported), means)
    parked = ParkedTooLong(rows, means)
    sweep = Sweep(
        settings,
        pool=context.pool,
        publisher=context.publisher,
        metrics=means.metrics,
        swept=context.runtime_metrics.outbox_swept,
    )
    often = {"due_verifications": due.turn, "stale_claims": stale.turn, "late_outbox": sweep.turn}
    seldom = {
        "late_attempts": late.turn,
        "abandoned_attempts": abandoned.turn,
        "unreported_attempts": silent.turn,
        "parked_receipts": parked.turn,
    }
    looking = partial(Looking, pool=context.pool, tell=means.metrics.tell_looked)
    sweep_after = timedelta(seconds=settings.sweep_after_s)
    return [
        looking(SQL["overdue_often"], (sweep_after,), often, pause_s=settings.pause_s),
        looking(SQL["overdue_seldom"], (grace, ABANDONED_LOOKED_AT_MAX), seldom, pause_s=settings.pause_s * 5),
    ]
