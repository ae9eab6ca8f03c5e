"""The shell of checks: mounts its routes on the public door."""

from typing import Any

from watchword.checks.desk import Desk
from watchword.checks.metrics import ChecksMetrics
from watchword.checks.routes import CheckRoutes
from watchword.checks.settings import ChecksSettings
from watchword.events.code_checked import CodeChecked
from watchword.events.verification_ended import VerificationEnded
from watchword.runtime.http import Route
from watchword.runtime.keyring import Purpose
from watchword.runtime.process import Context
from watchword.runtime.stop import Service
from watchword.runtime.telling import Teller

READS: tuple[str, ...] = ()
WRITES = (CodeChecked, VerificationEnded)
KEYS = frozenset({Purpose.PEPPER, Purpose.NUMBER_TOKEN})


def described() -> list[Route[Any]]:
    """Its routes as they are told of where another process serves them; nothing of them can be called."""
    nobody: Any = None
    return list(CheckRoutes(nobody, keyring=nobody, configuration=nobody, deadline_s=1).routes())


async def build(context: Context) -> list[Service]:
    """The services of this worker, in start order."""
    settings = ChecksSettings.load()
    teller = Teller("checks", publisher=context.publisher, pool=context.pool)
    desk = Desk(
        pool=context.pool,
        clock=context.clock,
        keyring=context.keyring,
        teller=teller,
        metrics=ChecksMetrics(context.metrics),
    )
    routes = CheckRoutes(
        desk, keyring=context.keyring, configuration=context.configuration, deadline_s=settings.deadline_s
    )
    context.door.mount(*routes.routes(), configuration=context.configuration, clock=context.clock)
    return [teller, desk]
