"""One verification as its tenant may read it, whoever asks: GET, or a start that waited for its outcome."""

from uuid import UUID

from watchword.intake import store
from watchword.intake.bodies import VerificationTold
from watchword.intake.showing import told
from watchword.intake.subjects import Subjects
from watchword.runtime.crowding import Turnstile
from watchword.runtime.postgres import Pool


class Reading:
    """Reads verifications with the keys that show their number masked."""

    def __init__(self, *, pool: Pool, turnstile: Turnstile, subjects: Subjects) -> None:
        self._pool = pool
        self._turnstile = turnstile
        self._subjects = subjects

    async def told(self, identity: UUID, tenant: str) -> VerificationTold | None:
        """The verification and its attempts; None for one that is not, or is another tenant's. Raises Overloaded, and
        what Postgres raises."""
        async with self._turnstile.passage(tenant), self._pool.acquire(timeout=5) as connection:
            row = await store.read(connection, identity, tenant)
            if row is None:
                return None
            attempts = await store.attempts(connection, identity)
        return told(row, attempts, self._subjects.shown(row))
