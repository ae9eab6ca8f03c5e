"""intake when more is asked than can be decided: the answer is no, at once."""

import asyncio

import pytest

from tests.support.intake import Answered, intake
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually
from watchword.intake.admission import FEW


async def test_while_nothing_can_be_decided_a_few_wait_and_the_next_hear_no_at_once(
    stand: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHWORD_INTAKE_WAIT_MAX_S", "0.2")
    async with intake(stand) as platform:
        asked: list[asyncio.Task[Answered]] = []

        async def refused() -> list[Answered]:
            asked.append(asyncio.create_task(platform.start(f"+91987654{len(asked):04d}")))
            return [each.result() for each in asked if each.done()]

        async with stand.connection.transaction():
            await stand.connection.execute("LOCK TABLE latest_verifications IN EXCLUSIVE MODE")
            [no, *_] = await eventually(refused, within_s=4, what="an answer although nothing can be decided")
            assert (no.status, no.body["code"], no.headers["Retry-After"]) == (503, "overloaded", "1")
        answers = await asyncio.gather(*asked)
        accepted = [each for each in answers if each.status == 202]
        assert {each.body["code"] for each in answers if each not in accepted} == {"overloaded"}
        assert len(accepted) >= FEW
        assert await platform.count("verifications") == len(accepted)
        shed = platform.process.metrics.value("watchword_intake_shed_total", reason="desk")
        assert shed == len(asked) - len(accepted)
        charged = await stand.connection.fetchval("SELECT count(*) FROM limits WHERE key LIKE 'send/10min/%'")
        assert charged == len(accepted), "who was refused was charged nothing"
