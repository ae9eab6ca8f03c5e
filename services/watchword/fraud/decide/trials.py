"""How many blocked sends may be let through to see whether a block is over: so few that nobody can live on them."""

from datetime import datetime

TRIALS_PER_HOUR = 20


class Trials:
    """What is left of a tenant's trials in the present hour, of one process."""

    def __init__(self, per_hour: int = TRIALS_PER_HOUR) -> None:
        self._per_hour = per_hour
        self._hour = -1
        self._taken: dict[str, int] = {}

    def take(self, tenant: str, now: datetime) -> bool:
        """One trial, if there is one left."""
        hour = int(now.timestamp() // 3_600)
        if hour != self._hour:
            self._hour, self._taken = hour, {}
        taken = self._taken.get(tenant, 0)
        if taken >= self._per_hour:
            return False
        self._taken[tenant] = taken + 1
        return True
