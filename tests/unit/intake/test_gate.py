"""Who hears no at the door, because those behind it cannot follow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from watchword.intake.admission import Admission
from watchword.intake.gate import RETRY_AFTER_BACKLOG_S, RETRY_AFTER_S, Gate
from watchword.intake.metrics import IntakeMetrics
from watchword.runtime.metrics import Metrics
from watchword.runtime.problems import Problem

AHEAD_MAX_S = 10.0


@dataclass
class Workers:
    """Those behind the desk, as they are told to be."""

    is_late: bool = False
    ahead_s: float = 0.0
    begun: list[UUID] = field(default_factory=list)

    def accepted(self, identity: Callable[[], UUID]) -> None:
        self.begun.append(identity())


def gate_before(workers: Workers) -> Gate:
    admission = Admission(wait_max_s=1.0, tenant_share=0.2, inside_min=10)
    return Gate(admission, workers, ahead_max_s=AHEAD_MAX_S, metrics=IntakeMetrics(Metrics()), monotonic=lambda: 1.0)


def refused_by(gate: Gate) -> Problem:
    with pytest.raises(Problem, match="overloaded") as refused, gate.passage("shop"):
        pytest.fail("let in")
    return refused.value


def test_while_all_keep_up_whoever_comes_is_let_in_and_counted_once_begun() -> None:
    workers = Workers()
    with (gate := gate_before(workers)).passage("shop"):
        gate.accepted(uuid4)
    assert len(workers.begun) == 1


def test_while_events_wait_for_kafka_nobody_is_let_in() -> None:
    assert refused_by(gate_before(Workers(is_late=True))).retry_after_s == RETRY_AFTER_BACKLOG_S


def test_whoever_would_wait_too_long_for_the_workers_is_refused_though_the_desk_is_empty() -> None:
    assert refused_by(gate_before(Workers(ahead_s=2 * AHEAD_MAX_S))).retry_after_s == RETRY_AFTER_S


def test_a_request_that_fails_leaves_its_place() -> None:
    gate = gate_before(Workers())
    for _ in range(100):
        with pytest.raises(ValueError, match="odd"), gate.passage("shop"):
            raise ValueError("odd")
    with gate.passage("shop"):
        pass
