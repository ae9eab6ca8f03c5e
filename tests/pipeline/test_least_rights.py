"""Apache Kafka with users and deploy/kafka/acls.txt: the whole pipeline works under it, and nobody does more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError, for_code

from tests.support import kafka_rules, postgres
from tests.support.carrier import simulated
from tests.support.door import calling
from tests.support.installation import Installation, installed
from tests.support.pipeline import Pipeline
from watchword import flow
from watchword.blueprint.kafka import CHANGELOG, rules
from watchword.blueprint.workloads import kafka_user
from watchword.contracts.topics import OUTSIDE
from watchword.contracts.topics import topics as specs
from watchword.events import topics
from watchword.events.topics import TENANT_RESULTS
from watchword.local import kafka
from watchword.local.kafka import Guard
from watchword.local.ports import LOOPBACK, free_ports
from watchword.operations.brokers import broker, clock_skew_s
from watchword.replay.reading import Log
from watchword.runtime.clock import WallClock
from watchword.runtime.kafka import Cluster
from watchword.runtime.topics import create_topics

pytestmark = pytest.mark.apache
CONFIGURATION = Path(__file__).with_name("secured.toml")
NUMBER = "+919876543210"
DEADLINE_S = 20
NEVER_END = {"audit", "platform", "fraud", "judge"}
DEAD = tuple(spec.name for spec in specs() if spec.name.endswith(".dead"))


@dataclass(frozen=True)
class Secured:
    """A broker that asks who is there, its rules set, and an installation with everybody's secrets."""

    broker: kafka.Broker
    installation: Installation

    def cluster(self, process: str) -> Cluster:
        """The broker as a worker or an operator's tool sees it; `platform` and `topics` too."""
        user = kafka_user(process)
        return Cluster(self.broker.guarded_bootstrap, "SASL_PLAINTEXT", user, _passwords(self.installation)[user])

    @property
    def unguarded(self) -> Cluster:
        """The way in that asks for nobody, for looking at what happened."""
        return Cluster(self.broker.bootstrap)


@pytest_asyncio.fixture(scope="module")
async def secured(
    database_server: postgres.Server, tmp_path_factory: pytest.TempPathFactory, servers_directory: Path
) -> AsyncIterator[Secured]:
    """Set up in the order of deploy/README.md: users, rules, and then topics by the user who may make them."""
    if not kafka.can_run_apache():
        pytest.skip("needs an Apache Kafka of its own, and there is no Java with Maven here to start one")
    async with installed(database_server, tmp_path_factory.mktemp("secured")) as installation:
        broker = kafka.start(servers_directory / "secured", guard=Guard(_passwords(installation)))
        try:
            made = Secured(broker, installation)
            await kafka_rules.establish(made.unguarded, kafka_rules.RULES.read_text("utf-8"))
            assert len(await create_topics(made.cluster("topics"), production=False)) == len(specs())
            yield made
        finally:
            broker.kill()
            broker.stop()


async def test_a_number_is_verified_with_every_process_held_to_its_rights(secured: Secured, tmp_path: Path) -> None:
    async with AsyncExitStack() as held:
        stand = await held.enter_async_context(_stand(secured))
        carriers = await held.enter_async_context(simulated())
        applied = await stand.configure(CONFIGURATION, url=carriers.url)
        [key] = [each.key for each in applied.new_keys]
        ports = dict(zip(("intake", "checks"), free_ports(2), strict=True))
        settings = {worker.name: _settings(secured, worker.name, ports.get(worker.name, 0)) for worker in flow.WORKERS}
        processes = [held.enter_async_context(stand.running(name, **told)) for name, told in settings.items()]
        await asyncio.gather(*processes)
        start, check = [
            await held.enter_async_context(calling(f"http://{LOOPBACK}:{port}", key)) for port in ports.values()
        ]
        begun = (await start.post("/v1/verifications", {"to": NUMBER, "purpose": "login"})).json
        code = await carriers.wait_for_code(NUMBER, within_s=DEADLINE_S)
        answered = (await check.post(f"/v1/verifications/{begun['id']}/check", {"code": code})).json
        results = await stand.told(TENANT_RESULTS + "shop", count=1)
        await stand.told(topics.SIGNALS, count=1)
        await stand.outbox_is_empty()
        buried = [name for name in DEAD if await stand.records(name)]
        made = await stand.records(CHANGELOG)
    assert answered["result"] == "approved"
    assert [each.event.NAME for each in results] == ["verification-ended"]
    assert made, "the judge keeps its table in a topic of its own making"
    assert not buried


EVERYBODY = (*flow.BY_NAME, "operator", "audit", "platform")


@pytest.mark.parametrize("process", EVERYBODY)
async def test_what_is_another_process_s_to_write_is_refused(secured: Secured, process: str) -> None:
    """Every user tries every topic that it does not write. So nobody forges an ending but who may end something, an
    analyst tells nothing at all, and a platform nothing but requests."""
    refused = sorted({spec.name for spec in specs()} - _written_by(process))
    assert process not in NEVER_END or topics.LIFECYCLE in refused
    assert len(refused) == len(specs()) - {"audit": 0, "platform": 1}.get(process, len(specs()) - len(refused))
    options = {"acks": "all", "enable_idempotence": False, "request_timeout_ms": 5_000}
    producer = AIOKafkaProducer(**secured.cluster(process).options(), **options)
    await producer.start()
    try:
        tries = [producer.send_and_wait(topic, b"{}", key=b"forged") for topic in refused]
        answers = await asyncio.gather(*tries, return_exceptions=True)
    finally:
        await producer.stop()
    told = {topic: type(answer) for topic, answer in zip(refused, answers, strict=True)}
    assert told == dict.fromkeys(refused, TopicAuthorizationFailedError)


@pytest.mark.parametrize("process", [*flow.BY_NAME, "operator", "platform"])
async def test_what_a_process_tells_it_may_write(secured: Secured, process: str) -> None:
    told = _told_by(process)
    asked = {topics.INBOX, topics.REQUESTS, topics.RISK_LEVELS, topics.SIGNALS}
    told |= {"timers": {topics.REQUESTS, topics.dead(topics.RECEIPTS)}, "operator": asked}.get(process, set())
    assert told
    for topic in sorted(told):
        await _write(secured.cluster(process), topic, idempotent=True)


def _told_by(process: str) -> set[str]:
    """The topics that a process writes by the map."""
    named = {OUTSIDE: "platform"}
    return {spec.name for spec in specs() if process in {named.get(writer, writer) for writer in spec.writers}}


def _written_by(process: str) -> set[str]:
    """The same, and what it writes on behalf of others: timers sweep, operators redrive."""
    own = [rule for rule in rules() if (rule.user, rule.operation) == (kafka_user(process), "Write")]
    return _told_by(process) | {rule.name for rule in own if rule.resource == "topic" and not rule.prefixed}


@pytest.mark.parametrize("process", [worker.name for worker in flow.WORKERS if worker.reads])
async def test_what_a_process_follows_it_may_read(secured: Secured, process: str) -> None:
    for topic in flow.BY_NAME[process].reads:
        await _read(secured.cluster(process), topic)


@pytest.mark.parametrize("process", ["codes", "fraud", "callbacks", "timers", "operator", "audit", "platform", "judge"])
async def test_nobody_but_intake_reads_clear_numbers(secured: Secured, process: str) -> None:
    await _read(secured.cluster("intake"), topics.INBOX)
    with pytest.raises(TopicAuthorizationFailedError):
        await _read(secured.cluster(process), topics.INBOX)


async def test_an_analyst_reads_the_history_and_never_sees_the_inbox(secured: Secured) -> None:
    await _write(secured.unguarded, topics.LIFECYCLE)
    assert await _read(secured.cluster("audit"), topics.LIFECYCLE) >= 1
    async with Log(secured.cluster("audit")) as log:
        seen = {each.topic for each in await log.slices([*topics.ALL, *map(topics.dead, topics.ALL)])}
        unseen = await log.unseen(spec.name for spec in specs())
        await log.groups()
    clear = {topics.INBOX, topics.dead(topics.INBOX)}
    assert seen == {spec.name for spec in specs()} - clear
    assert unseen == dict.fromkeys(clear, "may not be read")


async def test_the_doctor_sees_every_topic_as_operator_and_says_what_a_worker_may_not(secured: Secured) -> None:
    assert [
        each.told for each in await broker(secured.cluster("operator"), specs(), production=False) if not each.ok
    ] == []
    assert await clock_skew_s(secured.cluster("operator"), WallClock()) is not None
    as_codes = [each for each in await broker(secured.cluster("codes"), specs(), production=False) if not each.ok]
    assert as_codes and all("watchword-operator" in each.fix for each in as_codes)
    assert await clock_skew_s(secured.cluster("codes"), WallClock()) is None
    stranger = replace(secured.cluster("operator"), password="not-this-one")
    [finding] = await broker(stranger, specs(), production=False)
    assert "does not let us in" in finding.told


def _passwords(installation: Installation) -> dict[str, str]:
    """Everybody's, the platform's too, which is not ours to draw."""
    return {**installation.kafka_users(), kafka_user("platform"): "a-platform-chose-this"}


def _settings(secured: Secured, process: str, http_port: int) -> dict[str, Any]:
    """What a process is told: by its own file of secrets, and by the environment."""
    kafka_door = {"kafka": secured.broker.guarded_bootstrap, "kafka_security": "SASL_PLAINTEXT"}
    return {**secured.installation.settings(process), **kafka_door, "http_port": http_port}


@asynccontextmanager
async def _stand(secured: Secured) -> AsyncIterator[Pipeline]:
    """A `Pipeline` over the secured servers, for looking and for playing the owner."""
    installation = secured.installation
    connection = await asyncpg.connect(installation.dsn, timeout=10)
    stand = Pipeline(secured.unguarded, installation.login("owner"), installation.whole_keyring, connection)
    stand.producer = AIOKafkaProducer(**secured.unguarded.options(), acks="all")
    await stand.producer.start()
    try:
        yield stand
    finally:
        await stand.onlooker.stop()
        await stand.producer.stop()
        await connection.close(timeout=10)


async def _write(cluster: Cluster, topic: str, *, idempotent: bool = False) -> None:
    """One record. A user without any right to write does not even get a producer's number, and waits for it."""
    options = {"acks": "all", "enable_idempotence": idempotent, "request_timeout_ms": 5_000}
    producer = AIOKafkaProducer(**cluster.options(), **options)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}", key=b"k")
    finally:
        await producer.stop()


async def _read(cluster: Cluster, topic: str) -> int:
    """How many records come with the first answer. Raises TopicAuthorizationFailedError: of a topic that a user may
    not even describe, a consumer would go on asking."""
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        [told] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if told["error_code"]:
        raise for_code(told["error_code"])(topic)
    consumer = AIOKafkaConsumer(**cluster.options(), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        return sum(len(batch) for batch in (await consumer.getmany(timeout_ms=500)).values())
    finally:
        await consumer.stop()
