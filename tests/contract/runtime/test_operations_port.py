"""What an orchestrator and a scraper see of a process."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from watchword.runtime.health import Health, OperationsPort
from watchword.runtime.metrics import Metrics


@pytest_asyncio.fixture
async def health() -> Health:
    return Health()


@pytest_asyncio.fixture
async def port(health: Health) -> AsyncIterator[OperationsPort]:
    made = OperationsPort(health, Metrics(), host="127.0.0.1", port=0)
    await made.start()
    yield made
    await made.stop()


async def test_readyz_is_503_while_a_check_fails_and_while_draining(health: Health, port: OperationsPort) -> None:
    check = health.check("postgres")
    async with aiohttp.ClientSession(port.url) as session:
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert [(one["check"], one["ok"]) for one in await answer.json()] == [("postgres", False)]
        check.ok()
        async with session.get("/readyz") as answer:
            assert (answer.status, (await answer.json())[0]["why"]) == (200, "")
        health.draining()
        async with session.get("/readyz") as answer:
            assert answer.status == 503


async def test_livez_and_metrics_answer(port: OperationsPort) -> None:
    async with aiohttp.ClientSession(port.url) as session:
        async with session.get("/livez") as answer:
            assert (answer.status, await answer.json()) == (200, [])
        async with session.get("/metrics") as answer:
            assert answer.status == 200 and "process_cpu_seconds_total" in await answer.text()
        async with session.get("/other") as answer:
            assert answer.status == 404
        async with session.post("/livez") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_second_stop_is_nothing(port: OperationsPort) -> None:
    await port.stop()
    await port.stop()
    assert port.url.startswith("http://127.0.0.1:")
