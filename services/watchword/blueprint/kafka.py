"""deploy/kafka: the topics as one JSON list, and who may do what as arguments of Kafka's own tool.

Everything that is not allowed is refused, so a rule stands here only if a worker stops without it. An idempotent
producer asks for no right beyond Write on its topics (KIP-679).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from shlex import quote

from watchword.blueprint.workloads import SWEEPER, Workload, kafka_user, workloads
from watchword.contracts.topics import TopicSpec, topics
from watchword.events import topics as names
from watchword.events.topics import TENANT_RESULTS
from watchword.flow import GROUPS
from watchword.operations.brokers import CLOCK_TOPIC

REPLICATION = 3
PLATFORM = "platform"
"""How a platform is called in its rules, which are a pattern: one of your own has a name of its own."""
CHANGELOG = "judge-nodes-changelog"
"""What Faust keeps the judge's table in; the judge creates it. It has no other topic: no leader, no repartition."""
_ALL = "*"

ACL_HEAD = """\
# Kafka's access rules, made from services/watchword/flow.py and schemas/topics.yaml by `make flow`.
# One user a worker. A line is the arguments of one call:
#   grep '^--' acls.txt | xargs -L1 kafka-acls.sh --bootstrap-server HOST:PORT --command-config admin.properties
"""


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One thing that one user may do. `resource` is topic, group or cluster; `prefixed`: with every name that begins
    so. `operation` as Kafka writes it."""

    user: str
    resource: str
    operation: str
    prefixed: bool
    name: str


def topic_list() -> str:
    """topics.json: what `watchword topics` creates in production, for tools that create topics themselves."""
    told = [_told(spec) for spec in topics()]
    return json.dumps(told, indent=2) + "\n"


def _told(spec: TopicSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "partitions": spec.partitions_production,
        "replication": REPLICATION,
        "configs": spec.configs,
    }


def rules() -> list[Rule]:
    """Every rule there is, by user."""
    found = [rule for workload in workloads() for rule in _of_workload(workload)]
    return sorted({*found, *_of_operators()})


def acl_text() -> str:
    """acls.txt."""
    lines = [ACL_HEAD]
    for user, own in groupby(rules(), key=lambda rule: rule.user):
        lines.append(f"\n# {user}\n")
        for (resource, operation, prefixed), some in groupby(own, lambda r: (r.resource, r.operation, r.prefixed)):
            named = " ".join(_named(resource, rule.name) for rule in some)
            pattern = " --resource-pattern-type prefixed" if prefixed else ""
            lines.append(f"--add --allow-principal User:{user} --operation {operation}{pattern} {named}\n")
    return "".join(lines)


def _named(resource: str, name: str) -> str:
    return "--cluster" if resource == "cluster" else f"--{resource} {quote(name)}"


def _of_workload(workload: Workload) -> Iterable[Rule]:
    user = workload.user
    yield from _on_topics(user, "Read", workload.reads)
    yield from _on_topics(user, "Write", workload.writes)
    if workload.numbered:
        yield Rule(user, "group", "Read", True, workload.name)
    if workload.name == "judge":
        for operation in ("Create", "Read", "Write"):
            yield from _on_topics(user, operation, [CHANGELOG])
    if workload.name == "callbacks":
        yield Rule(user, "topic", "Create", True, TENANT_RESULTS)
    if workload.name in ("callbacks", SWEEPER):
        yield Rule(user, "topic", "Write", True, TENANT_RESULTS)
    if workload.name == SWEEPER:  # it tells how far every group is behind, and reads no record for that
        yield from _on_topics(user, "Describe", {topic for read in GROUPS.values() for topic in read})
        yield Rule(user, "group", "Describe", False, _ALL)


def _of_operators() -> Iterable[Rule]:
    """`topics` creates them. `operator` deals with dead letters, looks at what fraud says and lifts it, and asks the
    doctor, who looks at every topic and its settings and learns the broker's time from one of its own. `audit` reads
    all but clear numbers, of which it does not even see that they are there: replay passes over what it does not see,
    the audit says so. `platform` is the pattern for a platform's own user: what begins with its name is its own."""
    letters = {spec.name for spec in topics() if spec.name.endswith(".dead")}
    clear = {names.INBOX, names.dead(names.INBOX)}
    every = {spec.name for spec in topics()}
    yield Rule(kafka_user("topics"), "topic", "Create", True, "otp.")
    yield Rule(kafka_user("topics"), "topic", "Describe", True, "otp.")
    yield from _on_topics(kafka_user("operator"), "Read", letters)
    asked = {names.RISK_LEVELS, names.ASSESSMENTS}
    yield from _on_topics(kafka_user("operator"), "Read", asked)
    origins = {name.removesuffix(".dead") for name in letters}
    yield from _on_topics(kafka_user("operator"), "Write", origins | {names.RISK_LEVELS})
    for operation in ("Describe", "DescribeConfigs"):
        yield from _on_topics(kafka_user("operator"), operation, every)
    for operation in ("Create", "Write", "Delete"):
        yield Rule(kafka_user("operator"), "topic", operation, True, CLOCK_TOPIC)
    yield from _on_topics(kafka_user("audit"), "Read", every - clear)
    yield Rule(kafka_user("audit"), "topic", "Read", True, TENANT_RESULTS)
    yield Rule(kafka_user("audit"), "group", "Describe", False, _ALL)
    yield Rule(kafka_user("audit"), "cluster", "Describe", False, "kafka-cluster")
    yield from _on_topics(kafka_user("platform"), "Write", [names.INBOX])
    yield from _on_topics(kafka_user("platform"), "Read", [names.RESULTS])
    yield Rule(kafka_user("platform"), "topic", "Read", True, TENANT_RESULTS + PLATFORM)
    yield Rule(kafka_user("platform"), "group", "Read", True, PLATFORM)


def _on_topics(user: str, operation: str, on: Iterable[str]) -> Iterable[Rule]:
    return (Rule(user, "topic", operation, False, name) for name in on)
