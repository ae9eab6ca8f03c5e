"""Messages of which nothing was heard for as long as their route says get another one beside them, where it is allowed.

What is due is taken before it is decided about, so that a death in between costs a hedge and never makes two.
"""

from typing import Any, Final

from watchword.dispatch.carriers import Carriers
from watchword.dispatch.decide.hedge import Allowance, Silent, hedge
from watchword.dispatch.metrics import DispatchMetrics
from watchword.dispatch.noting import Noting
from watchword.dispatch.store import SQL, Store
from watchword.events.verification import Facts
from watchword.runtime.failpoints import reach

ROWS_A_TURN_MAX: Final = 100
PAUSE_S: Final = 1.0
_WRITES: Final = {"queue_hedge": SQL["queue_hedge"]}


class Hedging:
    """Looks for silent messages, a bounded number a turn."""

    def __init__(
        self, noting: Noting, store: Store, carriers: Carriers, allowance: Allowance, metrics: DispatchMetrics
    ) -> None:
        self._noting = noting
        self._store = store
        self._carriers = carriers
        self._allowance = allowance
        self._metrics = metrics

    async def turn(self) -> None:
        """Decide about those that are due. Raises what Postgres raises."""
        if self._carriers.resting.is_set():
            return
        rows = await self._noting.pool.fetch(SQL["to_hedge"], ROWS_A_TURN_MAX)
        if not rows:
            return
        reach("dispatch.hedging")
        tries = await self._store.tries(sorted({(row["verification_id"], row["send_no"]) for row in rows}))
        now = self._noting.clock.now()
        done = []
        for row in rows:
            silent = Silent(tries=tries[row["verification_id"], row["send_no"]], **_told(row))
            routing = self._carriers.routing(silent.about, silent.template)
            done.append(hedge(silent, routing, now, self._allowance))
        verifications = {row["verification_id"] for row in rows}
        self._metrics.hedges.add(await self._noting.note(done, verifications, _WRITES))


def _told(row: Any) -> dict[str, Any]:
    names = ("attempt_id", "send_no", "code_version", "send_deadline", "live", "receipt", "template")
    about = Facts(**{name: row[name] for name in Facts.__struct_fields__})
    return {"about": about, **{name: row[name] for name in names}}
