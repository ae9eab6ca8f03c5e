"""Whether the clocks of this machine, the database and the broker agree."""

from watchword.operations import brokers, databases, refusals
from watchword.operations.finding import Finding, ill, well
from watchword.runtime.clock import Clock
from watchword.runtime.kafka import Cluster

SKEW_MAX_S = 1.0


async def clocks(cluster: Cluster, dsn: str, clock: Clock) -> list[Finding]:
    """The database's and the broker's clock against `clock`. A server that is away is told of elsewhere."""
    found: list[Finding] = []
    try:
        found.append(agreed("database", await databases.clock_skew_s(dsn, clock)))
    except databases.FAULTS as error:
        found.append(ill("clocks", *refusals.of_postgres(error), "database"))
    try:
        found.append(agreed("broker", await brokers.clock_skew_s(cluster, clock)))
    except brokers.FAULTS as error:
        told = f"not to be had: {type(error).__name__}"
        found.append(ill("clocks", told, "mend what is said of the broker", "broker"))
    return found


def agreed(server: str, skew_s: float | None) -> Finding:
    """Whether a server's clock is near enough to ours; None for one that does not tell."""
    if skew_s is None:
        return well("clocks", "does not tell its time to us", server)
    if abs(skew_s) <= SKEW_MAX_S:
        return well("clocks", f"{abs(skew_s):.3f} s away from this machine's", server)
    word = "before" if skew_s > 0 else "behind"
    fix = "let both follow the same time server (chrony, ntpd): lives and deadlines are compared across them"
    return ill("clocks", f"{abs(skew_s):.1f} s {word} this machine's", fix, server)
