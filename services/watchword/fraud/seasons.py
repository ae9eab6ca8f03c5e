"""How long each tenant has been seen, kept in Postgres until its time of monitoring is over."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from watchword.events.verification_assessed import ModeReason
from watchword.fraud.decide.modes import MONITORED_SENDS, Season, over
from watchword.kernel.tenancy import FraudMode
from watchword.runtime.configuration import Configuration
from watchword.runtime.postgres import Connection, statements

_SQL = statements("watchword.fraud")


class Seasons:
    """Counts the sends of tenants that are monitored because they are new: one row a tenant and batch, none once it is
    known that the time is over."""

    def __init__(self) -> None:
        self._over: dict[str, ModeReason] = {}

    @property
    def over(self) -> Mapping[str, ModeReason]:
        """By what the time of monitoring is over, for tenants of which that is known."""
        return self._over

    def counts(self, configuration: Configuration, tenant: str) -> bool:
        """Whether a send of `tenant` is counted: it is monitored while it is new, and may still be."""
        return tenant not in self._over and _says_nothing(configuration, tenant)

    async def count(
        self, connection: Connection, tenants: Iterable[str], configuration: Configuration, now: datetime
    ) -> Mapping[str, ModeReason]:
        """By what the time of monitoring is over, for those of `tenants` (one a send) for which it is. Raises what
        Postgres raises."""
        new = Counter(each for each in tenants if self.counts(configuration, each))
        if new:
            names = sorted(new)
            counts = [new[name] for name in names]
            for row in await connection.fetch(_SQL["count_season"], names, counts, MONITORED_SENDS):
                reason = over(Season(row["began_at"], row["sends"]), now)
                if reason is not None:
                    self._over[row["tenant"]] = reason
        return self._over


def _says_nothing(configuration: Configuration, tenant: str) -> bool:
    document = configuration.tenant(tenant)
    return document is not None and document.fraud_mode is FraudMode.AUTO
