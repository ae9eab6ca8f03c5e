"""The machinery of the tests does what the tests rely on."""

import asyncio
import socket

import asyncpg
import pytest

from tests.support import leaks, loopback
from tests.support.kafka import Cluster
from tests.support.postgres import FreshDatabase, Server, empty_database
from tests.support.waiting import eventually
from watchword.local import kafka_probe
from watchword.runtime.migrations import expected_level, level


async def test_waiting_ends_as_soon_as_the_fact_is_there() -> None:
    answers = iter([0, 0, 7])

    async def probe() -> int:
        return next(answers)

    assert await eventually(probe, within_s=1, what="a number") == 7


async def test_waiting_in_vain_says_what_for_and_what_was_seen() -> None:
    async def probe() -> list[str]:
        return []

    with pytest.raises(AssertionError, match=r"waited 0\.05 s for the second message; last seen: \[\]"):
        await eventually(probe, within_s=0.05, what="the second message")


async def test_waiting_ends_in_the_middle_of_a_probe_that_hangs() -> None:
    async def probe() -> bool:
        return await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="for an answer"):
        await eventually(probe, within_s=0.05, what="an answer")


async def test_a_timeout_of_the_probe_itself_is_not_taken_for_ours() -> None:
    async def probe() -> bool:
        raise TimeoutError("the server took too long")

    with pytest.raises(TimeoutError, match="the server took too long"):
        await eventually(probe, within_s=1, what="an answer")


async def test_a_task_left_running_is_named_and_cancelled() -> None:
    before = asyncio.all_tasks()
    forgotten = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(AssertionError, match=r"Event\.wait"):
        await leaks.assert_ended(before, within_s=0.05)
    assert forgotten.cancelled()


async def test_a_task_that_is_just_ending_is_no_leak() -> None:
    before = asyncio.all_tasks()
    go = asyncio.Event()
    ending = asyncio.create_task(go.wait())
    asyncio.get_running_loop().call_later(0.02, go.set)
    await leaks.assert_ended(before)
    assert ending.done()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "169.254.169.254"])
def test_a_connection_to_another_machine_is_refused(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client, pytest.raises(loopback.OutsideHost, match=host):
        client.connect((host, 80))
    assert loopback.refused == [f"socket.connect {(host, 80)!r}"]
    loopback.refused.clear()


async def test_the_event_loop_refuses_to_look_up_another_machine() -> None:
    with pytest.raises(loopback.OutsideHost, match=r"gateway\.example"):
        await asyncio.open_connection("gateway.example", 443)
    loopback.refused.clear()


def test_this_machine_is_not_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    assert loopback.refused == []


async def test_a_test_database_has_every_migration(database: FreshDatabase) -> None:
    assert await level(database.dsn) == expected_level()


async def test_a_test_database_is_gone_afterwards_whoever_is_connected(database_server: Server) -> None:
    async with empty_database(database_server) as fresh:
        forgotten = await asyncpg.connect(fresh.dsn, timeout=5)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(fresh.dsn, timeout=5)
    forgotten.terminate()


async def test_the_shared_broker_serves(broker: Cluster) -> None:
    host, _, port = broker.bootstrap.rpartition(":")
    assert kafka_probe.serves(host, int(port), timeout_s=5)


_seen_prefixes: set[str] = set()


@pytest.mark.parametrize("test", ["first", "second"])
def test_two_tests_share_no_topic(test: str, topic_prefix: str) -> None:
    assert topic_prefix.isascii() and topic_prefix.endswith(".")
    assert topic_prefix not in _seen_prefixes
    _seen_prefixes.add(topic_prefix)
