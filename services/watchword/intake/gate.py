"""Before the desk: while more is asked than can be done in time, whoever comes hears so at once, charged nothing."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol
from uuid import UUID

from watchword.intake.admission import Admission, Admitted
from watchword.intake.metrics import IntakeMetrics
from watchword.runtime.clock import monotonic_s
from watchword.runtime.problems import Problem

RETRY_AFTER_S = 1.0  # by then what is inside now was decided
RETRY_AFTER_BACKLOG_S = 5.0


class Behind(Protocol):
    """What is known of those who work behind the desk; `backlog.Backlog` looks."""

    @property
    def is_late(self) -> bool:
        """Whether events wait for Kafka too long."""
        ...

    @property
    def ahead_s(self) -> float:
        """How long whoever is accepted now would wait until its code is sent."""
        ...

    def accepted(self, identity: Callable[[], UUID]) -> None:
        """One more was accepted."""
        ...


class Gate:
    """Lets starts and resends of the HTTP door in. The Kafka door's records wait on their topic instead; what ends or
    checks a verification passes: it makes less work, not more."""

    def __init__(
        self,
        admission: Admission,
        behind: Behind,
        *,
        ahead_max_s: float,
        metrics: IntakeMetrics,
        monotonic: Callable[[], float] = monotonic_s,
    ) -> None:
        self._admission = admission
        self._behind = behind
        self._ahead_max_s = ahead_max_s
        self._metrics = metrics
        self._monotonic = monotonic

    def passage(self, tenant: str) -> "_Passage":
        """Hold it while a request of `tenant` is decided. Raises Problem (503, overloaded)."""
        if self._behind.is_late:
            raise self._refusal("kafka", RETRY_AFTER_BACKLOG_S)
        now_s, behind = self._monotonic(), self._behind.ahead_s / self._ahead_max_s
        admitted = self._admission.enter(tenant, now_s, behind=behind)
        if admitted is None:
            raise self._refusal("workers" if behind > self._admission.pressure(now_s) else "desk", RETRY_AFTER_S)
        return _Passage(self, admitted)

    def leave(self, admitted: Admitted) -> None:
        """The request was decided, or given up."""
        self._admission.leave(admitted, self._monotonic())

    def accepted(self, identity: Callable[[], UUID]) -> None:
        """A verification was begun or is sent again; `identity` is asked if it is followed."""
        self._behind.accepted(identity)

    def _refusal(self, reason: str, retry_after_s: float) -> Problem:
        self._metrics.shed.add(reason=reason)
        return Problem("overloaded", retry_after_s=retry_after_s)


class _Passage:
    __slots__ = ("_admitted", "_gate")

    def __init__(self, gate: Gate, admitted: Admitted) -> None:
        self._gate = gate
        self._admitted = admitted

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._gate.leave(self._admitted)
