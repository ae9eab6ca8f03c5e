"""Messages of which no receipt came are asked after, where their gateway can be asked: once when the life of the code
ends, and once more five minutes later. After ten, timers end the wait."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from watchword.dispatch.calling import Gate, Silence
from watchword.dispatch.carriers import Carriers
from watchword.dispatch.decide.report import report
from watchword.dispatch.noting import Noting
from watchword.dispatch.store import SQL
from watchword.events.verification import Facts
from watchword.gateways.outcome import Outcome
from watchword.runtime.failpoints import reach

log = structlog.get_logger()

ROWS_A_TURN_MAX: Final = 50
PAUSE_S: Final = 2.0
LATER_THAN_ANY: Final = timedelta(days=1)  # no message waits behind a question
_WRITES = {"record_found": SQL["record_found"]}


@dataclass(frozen=True, slots=True)
class Unreported:
    """An attempt to be asked after. `provider_id` is what the provider calls it, "" where it told nothing."""

    attempt_id: UUID
    account: str
    provider_id: str
    about: Facts


class Asking:
    """Asks gateways, a bounded number of questions a turn. A question is counted before it is asked, so that no crash
    asks without end; what cannot be asked now is asked the next time, or not at all."""

    def __init__(self, noting: Noting, carriers: Carriers) -> None:
        self._noting = noting
        self._carriers = carriers

    async def turn(self) -> None:
        """Ask after those that are due. Raises what Postgres raises."""
        if self._carriers.resting.is_set():
            return
        rows = await self._noting.pool.fetch(SQL["to_ask"], ROWS_A_TURN_MAX)
        if not rows:
            return
        wanted = [
            Unreported(
                row["id"],
                row["account"],
                row["provider_id"],
                Facts(**{name: row[name] for name in Facts.__struct_fields__}),
            )
            for row in rows
        ]
        reach("dispatch.asking")
        answers = await asyncio.gather(*(self._ask(each) for each in wanted))
        done = [report(one.about, one.attempt_id, one.account, said) for one, said in zip(wanted, answers, strict=True)]
        await self._noting.note(done, {each.about.verification_id for each in wanted}, _WRITES)

    async def _ask(self, one: Unreported) -> Outcome | None:
        """What its gateway knows of the attempt; None where it knows nothing, or cannot be asked."""
        leave = await self._carriers.enter(one.account, one.about.country, one.about.expires_at + LATER_THAN_ANY)
        if leave is None:
            return None
        try:
            question = leave.carrier.speaker.inquiry(str(one.attempt_id), one.provider_id)
            if question is None:
                return None
            answer = await leave.carrier.call(question, Gate(lambda: ""))
        except ValueError:
            return None
        finally:
            leave.carrier.give_back(leave, None)
        if isinstance(answer, Silence):
            log.info("dispatch.not_answered", attempt=str(one.attempt_id), error=answer.word)
            return None
        return answer
