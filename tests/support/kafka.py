"""Which Kafka a test run uses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from watchword.local import kafka
from watchword.local.kafka import Kind

ON_THE_WHEEL = "needs Apache Kafka (Java 17 or newer and Maven): the wheel's broker cannot show it"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka that the whole run shares. Tests use topics and groups of their own and clean nothing up. `data` is where
    it keeps them, None where somebody else runs it."""

    bootstrap: str
    label: str
    is_apache: bool
    data: Path | None = None


def named() -> str | None:
    """The bootstrap address in WATCHWORD_KAFKA, if the run is to use a Kafka that is already there."""
    return os.environ.get("WATCHWORD_KAFKA") or None


def will_be_apache(prefer: Kind) -> bool:
    """Whether the run's broker will be Apache Kafka. One that was named is taken to be."""
    return named() is not None or (prefer is not Kind.WHEEL and kafka.can_run_apache())


@contextmanager
def cluster(directory: Path, prefer: Kind) -> Iterator[Cluster]:
    """The named Kafka, or a broker in `directory` for as long as the context lasts."""
    bootstrap = named()
    if bootstrap is not None:
        yield Cluster(bootstrap, f"Kafka at {bootstrap} (WATCHWORD_KAFKA)", is_apache=True)
        return
    broker = kafka.start(directory, prefer=prefer)
    try:
        yield Cluster(broker.bootstrap, broker.label, is_apache=broker.kind is Kind.APACHE, data=directory / "data")
    finally:
        broker.kill()  # nobody reads it any more
        broker.stop()
