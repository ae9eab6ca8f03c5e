"""intake when more is asked than can be decided: the answer is no at once, and another tenant is still let in."""

import asyncio

import pytest

from tests.support.intake import Answered, intake
from tests.support.pipeline import Pipeline
from tests.support.waiting import eventually


async def test_while_nothing_can_be_decided_the_next_hear_no_at_once_and_another_tenant_gets_in(
    stand: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHWORD_INTAKE_WAIT_MAX_S", "0.2")
    async with intake(stand) as platform:
        asked: list[asyncio.Task[Answered]] = []

        def start(key: str = "shop/all") -> "asyncio.Task[Answered]":
            number = f"+91987654{len(asked):04d}"
            asked.append(asyncio.create_task(platform.start(number, key=key)))
            return asked[-1]

        async def refused() -> list[Answered]:
            start()
            return [each.result() for each in asked if each.done()]

        async with stand.connection.transaction():
            await stand.connection.execute("LOCK TABLE latest_verifications IN EXCLUSIVE MODE")
            [no, *_] = await eventually(refused, within_s=4, what="an answer although nothing can be decided")
            assert (no.status, no.body["code"], no.headers["Retry-After"]) == (503, "overloaded", "1")
            other = start("other/all")
        answers = await asyncio.gather(*asked)
        accepted = [each for each in answers if each.status == 202]
        assert {each.body["code"] for each in answers if each not in accepted} == {"overloaded"}
        assert other.result() in accepted, "the flood of one tenant keeps no other out"
        assert await platform.count("verifications") == len(accepted)
        charged = await stand.connection.fetchval("SELECT count(*) FROM limits WHERE key LIKE 'send/10min/%'")
        assert charged == len(accepted), "who was refused was charged nothing"
