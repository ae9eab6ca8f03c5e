"""The servers a laptop runs on: what they keep through a kill, and that nothing of them outlives us."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.waiting import eventually
from watchword.local import kafka, kafka_probe, postgres
from watchword.local.kafka import Broker, Kind
from watchword.local.ports import LOOPBACK, free_ports
from watchword.local.postgres import Database
from watchword.local.process import LocalServerError, Process, Program, children, is_running

MESSAGES = [f"message {number}".encode() for number in range(200)]

STARTS_BOTH_AND_WAITS = """
import sys
from pathlib import Path
from watchword.local import kafka, postgres
directory = Path(sys.argv[1])
broker = kafka.start(directory / "kafka", prefer=kafka.Kind(sys.argv[2]))
database = postgres.start(directory / "postgres")
sys.stdout.write(f"{broker.pid} {database.pid}\\n")
sys.stdout.flush()
sys.stdin.read()
"""

EIGHT_THREADS_AT_WORK = """
import hashlib, threading
megabyte = bytes(1 << 20)
def work():
    while True:
        hashlib.sha256(megabyte)
for _ in range(8):
    threading.Thread(target=work).start()
print("up", flush=True)
"""


@pytest.fixture(scope="module", params=[pytest.param(Kind.APACHE, marks=pytest.mark.apache), Kind.WHEEL])
def own_broker(request: pytest.FixtureRequest, servers_directory: Path) -> Iterator[Broker]:
    started = kafka.start(servers_directory / f"own-{request.param.value}", prefer=request.param)
    yield started
    started.kill()
    started.stop()


@pytest.fixture
def own_database(server_directory: Path) -> Iterator[Database]:
    started = postgres.start(server_directory)
    yield started
    started.stop()


async def produce(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        await asyncio.gather(*[await producer.send(topic, message) for message in MESSAGES])


async def consume(bootstrap: str, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    received: list[bytes] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        async with asyncio.timeout(20):
            while len(received) < len(MESSAGES):
                batch = await consumer.getmany(timeout_ms=500)
                received += [record.value for record in batch.get(partition, [])]
    return received


async def test_a_broker_serves_and_keeps_its_address_through_a_restart(own_broker: Broker, topic_prefix: str) -> None:
    bootstrap, pid = own_broker.bootstrap, own_broker.pid
    await produce(bootstrap, f"{topic_prefix}a")
    assert await consume(bootstrap, f"{topic_prefix}a") == MESSAGES
    own_broker.restart()
    assert own_broker.bootstrap == bootstrap
    assert own_broker.pid != pid and not is_running(pid)
    await produce(bootstrap, f"{topic_prefix}b")
    assert await consume(bootstrap, f"{topic_prefix}b") == MESSAGES


@pytest.mark.apache
async def test_apache_kafka_keeps_acknowledged_messages_through_kill_9_and_for_whoever_starts_in_its_directory(
    tmp_path: Path, topic_prefix: str
) -> None:
    first = kafka.start(tmp_path, prefer=Kind.APACHE)
    try:
        await produce(first.bootstrap, f"{topic_prefix}a")
        first.kill()
        assert not kafka_probe.serves(LOOPBACK, int(first.bootstrap.partition(":")[2]))
        first.restart()
        assert await consume(first.bootstrap, f"{topic_prefix}a") == MESSAGES
        await produce(first.bootstrap, f"{topic_prefix}b")
    finally:
        first.stop()
    second = kafka.start(tmp_path, prefer=Kind.APACHE)
    try:
        for topic in ("a", "b"):
            assert await consume(second.bootstrap, f"{topic_prefix}{topic}") == MESSAGES
    finally:
        second.kill()


def test_a_frozen_broker_does_not_answer_until_it_is_thawed(own_broker: Broker) -> None:
    port = int(own_broker.bootstrap.partition(":")[2])
    own_broker.freeze()
    assert not kafka_probe.serves(LOOPBACK, port, timeout_s=0.2)
    own_broker.thaw()
    assert kafka_probe.serves(LOOPBACK, port, timeout_s=10)


@pytest.mark.parametrize(
    "kind", [pytest.param(Kind.APACHE, marks=pytest.mark.apache), Kind.WHEEL], ids=["apache", "wheel"]
)
async def test_a_parent_killed_with_kill_9_leaves_no_server(kind: Kind, server_directory: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STARTS_BOTH_AND_WAITS,
        str(server_directory),
        kind.value,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    try:
        told = await asyncio.wait_for(parent.stdout.readline(), 60)
        servers = [int(pid) for pid in told.split()]
        everyone = [*servers, *(child for server in servers for child in children(server))]
        assert len(servers) == 2 and all(is_running(pid) for pid in everyone)
    finally:
        parent.send_signal(signal.SIGKILL)
        await asyncio.wait_for(parent.wait(), 10)

    async def all_gone() -> bool:
        return not any(is_running(pid) for pid in everyone)

    try:
        await eventually(all_gone, within_s=10, what=f"the end of the processes {everyone}")
    finally:
        for pid in filter(is_running, everyone):
            os.kill(pid, signal.SIGKILL)


async def test_postgres_keeps_committed_rows_through_kill_9(own_database: Database) -> None:
    connection = await asyncpg.connect(own_database.dsn, timeout=5)
    await connection.execute("CREATE TABLE kept AS SELECT * FROM generate_series(1, 1000) AS row")
    own_database.kill()
    connection.terminate()
    own_database.restart()
    assert await value(own_database.dsn, "SELECT count(*) FROM kept") == 1000


async def test_postgres_serves_what_an_earlier_start_in_its_directory_kept(
    own_database: Database, server_directory: Path
) -> None:
    await value(own_database.dsn, "CREATE TABLE kept AS SELECT 42 AS row")
    own_database.stop()
    second = postgres.start(server_directory)
    try:
        assert await value(second.dsn, "SELECT row FROM kept") == 42
    finally:
        second.stop()


async def test_postgres_restarts_although_a_query_was_running_when_it_was_killed(own_database: Database) -> None:
    busy = asyncio.create_task(value(own_database.dsn, "SELECT count(*) FROM generate_series(1, 1000000000000)"))

    async def is_busy() -> bool:
        return bool(await value(own_database.dsn, "SELECT count(*) FROM pg_stat_activity WHERE query ~ '10{12}'"))

    await eventually(is_busy, within_s=10, what="the query to run")
    own_database.kill()
    with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
        await busy
    own_database.restart()
    assert await value(own_database.dsn, "SELECT 1") == 1


async def test_postgres_writes_through_to_the_disk(own_database: Database) -> None:
    assert await value(own_database.dsn, "SHOW fsync") == "on"
    assert await value(own_database.dsn, "SHOW synchronous_commit") == "on"


async def test_postgres_is_a_release_that_production_runs(own_database: Database) -> None:
    assert own_database.label == f"PostgreSQL {await value(own_database.dsn, 'SHOW server_version')}"


async def value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetchval(query, timeout=60)
    finally:
        connection.terminate()


def program(directory: Path, script: str) -> Program:
    return Program("the test's server", ("/bin/sh", "-c", script), directory / "log", directory, stop_within_s=0.5)


def test_a_server_that_does_not_become_ready_is_ended_and_its_last_words_are_told(tmp_path: Path) -> None:
    process = Process(program(tmp_path, "echo disk is full; exec sleep 60"))
    with pytest.raises(LocalServerError, match=r"(?s)the test's server was not ready after 0\.5 s.*disk is full"):
        process.await_ready(lambda: False, 0.5)
    assert process.exit_code == -signal.SIGKILL


def test_a_server_that_ends_early_is_told_with_its_exit_code(tmp_path: Path) -> None:
    process = Process(program(tmp_path, "echo no licence; exit 3"))
    with pytest.raises(LocalServerError, match=r"(?s)ended with 3.*no licence"):
        process.await_ready(lambda: False, 30)


def test_a_server_that_ignores_a_polite_stop_is_killed(tmp_path: Path) -> None:
    process = Process(program(tmp_path, "trap '' TERM; echo deaf; while :; do sleep 1; done"))
    process.await_ready(lambda: "deaf" in process.log_tail(), 10)
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def run_without_java(code: str, directory: Path) -> str:
    """The last line that `code` writes to stderr on a machine with neither Java nor Maven nor a cache."""
    environment = os.environ | {"PATH": str(directory), "XDG_CACHE_HOME": str(directory)}
    outcome = subprocess.run(
        (sys.executable, "-c", code), cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )
    return outcome.stderr.splitlines()[-1]


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Process] = []

    def start() -> None:
        process = Process(program(tmp_path, "echo up; exec sleep 60"))
        process.await_ready(lambda: "up" in process.log_tail(), 10)
        started.append(process)

    starting = threading.Thread(target=start)
    starting.start()
    starting.join(10)
    assert not started[0].ended_within(0.3)
    started[0].kill()


def test_a_frozen_server_still_ends_in_good_order(tmp_path: Path) -> None:
    process = Process(program(tmp_path, "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done"))
    process.await_ready(lambda: "up" in process.log_tail(), 10)
    process.freeze()
    process.stop()
    assert process.exit_code == 0


def states_of_threads(pid: int) -> set[str]:
    return {stat.read_text().rpartition(") ")[2][:1] for stat in Path(f"/proc/{pid}/task").glob("*/stat")}


def test_no_thread_of_a_frozen_server_goes_on_for_a_moment(tmp_path: Path) -> None:
    command = (sys.executable, "-c", EIGHT_THREADS_AT_WORK)
    process = Process(Program("the test's server", command, tmp_path / "log", tmp_path))
    process.await_ready(lambda: "up" in process.log_tail(), 10)
    try:
        for _ in range(20):
            process.freeze()
            assert states_of_threads(process.pid) == {"T"}
            process.thaw()
    finally:
        process.kill()


def test_apache_kafka_without_java_or_maven_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from watchword.local import kafka\nkafka.start(Path('k'), prefer=kafka.Kind.APACHE)"
    )
    outcome = run_without_java(code, tmp_path)
    assert outcome.startswith("watchword.local.process.LocalServerError: Apache Kafka needs Java 17 or newer")
    assert "--kafka wheel" in outcome


def test_without_java_or_maven_the_wheel_is_chosen(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from watchword.local import kafka\n"
        "broker = kafka.start(Path('k')); broker.stop(); sys.stderr.write(broker.label)"
    )
    assert run_without_java(code, tmp_path).startswith("noida-db")


def test_ports_given_together_differ() -> None:
    assert len(set(free_ports(50))) == 50


def test_a_port_where_something_else_listens_is_not_a_broker(own_database: Database) -> None:
    port = int(own_database.dsn.rpartition(":")[2].partition("/")[0])
    assert not kafka_probe.serves(LOOPBACK, port)
