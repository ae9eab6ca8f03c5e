"""Sets the rules of deploy/kafka/acls.txt on a broker, read as Kafka's own tool would read them."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from watchword.runtime.kafka import Cluster

RULES = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.txt"

# Codes of the Kafka protocol guide: resource types, pattern types, operations, and Allow.
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
_PATTERNS = {"literal": 3, "prefixed": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}
_ALLOW = 3
_CLUSTER = "kafka-cluster"
_ANY_HOST = "*"


@dataclass(frozen=True, slots=True)
class Binding:
    """One rule as a broker keeps it."""

    principal: str
    operation: str
    resource: str
    pattern: str
    name: str


def bindings(text: str) -> list[Binding]:
    """The rules of an acls.txt. Raises ValueError or KeyError on a word that Kafka's tool would not take either."""
    return [each for line in text.splitlines() if line.startswith("--") for each in _of_line(shlex.split(line))]


def _of_line(words: list[str]) -> Iterator[Binding]:
    told: dict[str, str] = {"--resource-pattern-type": "literal"}
    on: list[tuple[str, str]] = []
    left = iter(words)
    for word in left:
        if word == "--cluster":
            on.append(("cluster", _CLUSTER))
        elif word in ("--topic", "--group"):
            on.append((word.removeprefix("--"), next(left)))
        elif word != "--add":
            told[word] = next(left)
    for resource, name in on:
        yield Binding(told["--allow-principal"], told["--operation"], resource, told["--resource-pattern-type"], name)


async def establish(cluster: Cluster, text: str) -> int:
    """Set every rule of an acls.txt; answers how many. Raises AssertionError with what the broker refused."""
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        wanted = bindings(text)
        for each in wanted:
            answer = await admin._send_request(_request(each))
            assert all(code == 0 for code, _ in answer.creation_responses), (each, answer)
        return len(wanted)
    finally:
        await admin.close()


def _request(binding: Binding) -> CreateAclsRequest:
    return CreateAclsRequest(
        resource_type=_RESOURCES[binding.resource],
        resource_name=binding.name,
        resource_pattern_type_filter=_PATTERNS[binding.pattern],
        principal=binding.principal,
        host=_ANY_HOST,
        operation=_OPERATIONS[binding.operation],
        permission_type=_ALLOW,
    )
