"""The topics as schemas/topics.yaml tells them: what creation, grants and the flow tests go by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from watchword.contracts.folder import ContractError, read_yaml, root

OUTSIDE = "platforms"
"""The one reader and writer in topics.yaml that is no worker: the platforms outside."""


COMPACTED: Final = {"segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}
"""What is compacted is read whole by whoever starts, so it is kept small: by itself a broker compacts nothing of the
last week or the last GiB, and no more often than half of the rest is old."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. `retention_ms` is -1 where records stay until a newer one of their key replaces them; `cleanup` is
    Kafka's `delete` or `compact`; `events`, `writers` and `readers` are names. A dead topic carries no event of its
    own and has no readers: what reads it is an operator."""

    name: str
    key: str
    partitions_local: int
    partitions_production: int
    retention_ms: int
    cleanup: str
    events: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()

    @property
    def configs(self) -> dict[str, str]:
        """Its settings at the broker."""
        own = {"cleanup.policy": self.cleanup, "retention.ms": str(self.retention_ms), "compression.type": "producer"}
        return own | (COMPACTED if self.cleanup == "compact" else {})


@lru_cache(maxsize=1)
def topics() -> tuple[TopicSpec, ...]:
    """Every topic of the pipeline, each dead topic after its own. Raises ContractError."""
    return read_topics(root() / "topics.yaml")


def read_topics(path: Path) -> tuple[TopicSpec, ...]:
    """The topics in one file, dead ones derived. Raises ContractError, naming the topic that is not well told."""
    told = read_yaml(path)
    try:
        return tuple(_with_dead_topics(told["topics"], told["dead"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{path.name} lacks {error}") from error


def _with_dead_topics(named: Mapping[str, Any], dead: Mapping[str, Any]) -> Iterable[TopicSpec]:
    for name, told in named.items():
        topic = _topic(name, told)
        yield topic
        buriers = tuple(reader for reader in topic.readers if reader != OUTSIDE)
        if buriers:
            yield _topic(name + dead["suffix"], {**dead, "key": topic.key, "writers": buriers})


def _topic(name: str, told: Mapping[str, Any]) -> TopicSpec:
    spec = TopicSpec(
        name=name,
        key=str(told["key"]),
        partitions_local=int(told["partitions"]["local"]),
        partitions_production=int(told["partitions"]["production"]),
        retention_ms=int(told["retention_ms"]),
        cleanup=str(told["cleanup"]),
        events=tuple(told.get("events", ())),
        writers=tuple(told.get("writers", ())),
        readers=tuple(told.get("readers", ())),
    )
    if spec.cleanup not in ("delete", "compact") or min(spec.partitions_local, spec.partitions_production) < 1:
        raise ContractError(f"topic {name} needs a cleanup of delete or compact, and partitions")
    return spec
