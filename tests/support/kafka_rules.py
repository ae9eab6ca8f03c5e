"""Sets the rules of deploy/kafka/acls.txt on a broker, read as Kafka's own tool would read them."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from watchword.runtime.kafka import Cluster

RULES = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.txt"

# Codes of the Kafka protocol guide: resource types, pattern types, operations, and Allow.
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
_PATTERNS = {"literal": 3, "prefixed": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8, "DescribeConfigs": 10}
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


class _Establish(CreateAclsRequest):  # type: ignore[misc]  # aiokafka ships no types
    """Many rules in one request: a controller writes each request to its log by itself."""

    def __init__(self, wanted: Sequence[Binding]) -> None:
        self._wanted = wanted

    def build(self, request_struct_class: Any) -> Any:
        """The request as the protocol has it."""
        return request_struct_class([_creation(each) for each in self._wanted])


async def establish(cluster: Cluster, text: str) -> int:
    """Set every rule of an acls.txt; answers how many. Raises AssertionError with what the broker refused."""
    wanted = bindings(text)
    admin = AIOKafkaAdminClient(**cluster.options())
    await admin.start()
    try:
        answer = await admin._send_request(_Establish(wanted))
    finally:
        await admin.close()
    refused = [(each, told) for each, told in zip(wanted, answer.creation_responses, strict=True) if told[0]]
    assert not refused, refused
    return len(wanted)


def _creation(binding: Binding) -> tuple[Any, ...]:
    pattern, operation = _PATTERNS[binding.pattern], _OPERATIONS[binding.operation]
    resource = _RESOURCES[binding.resource]
    return resource, binding.name, pattern, binding.principal, _ANY_HOST, operation, _ALLOW
