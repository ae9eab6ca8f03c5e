"""The life of a verification, of an attempt and of a receipt: the only place that knows which step may follow.

Every conditional UPDATE, the fold that audit and replay use, and the drawn diagram come from these tables
(tests/contract/stores proves it for the statements).
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a verification stands. The words the public API uses are in `STATUS`."""

    REQUESTED = "requested"
    ISSUED = "issued"
    APPROVED = "approved"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LOCKED = "locked"
    BLOCKED = "blocked"
    FAILED = "failed"


class Step(StrEnum):
    """What can happen to a verification."""

    ISSUE = "issue"
    APPROVE = "approve"
    EXPIRE = "expire"
    CANCEL = "cancel"
    LOCK = "lock"
    BLOCK = "block"
    FAIL = "fail"


TRANSITIONS: Mapping[State, Mapping[Step, State]] = {
    State.REQUESTED: {
        Step.ISSUE: State.ISSUED,
        Step.BLOCK: State.BLOCKED,
        Step.CANCEL: State.CANCELLED,
        Step.EXPIRE: State.EXPIRED,
    },
    State.ISSUED: {
        Step.APPROVE: State.APPROVED,
        Step.LOCK: State.LOCKED,
        Step.FAIL: State.FAILED,
        Step.CANCEL: State.CANCELLED,
        Step.EXPIRE: State.EXPIRED,
    },
    State.APPROVED: {},
    State.EXPIRED: {},
    State.CANCELLED: {},
    State.LOCKED: {},
    State.BLOCKED: {},
    State.FAILED: {},
}

LIVE = frozenset(state for state, steps in TRANSITIONS.items() if steps)
ENDED = frozenset(State) - LIVE

STATUS: Mapping[State, str] = {
    State.REQUESTED: "pending",
    State.ISSUED: "pending",
    **{state: state.value for state in ENDED},
}


def after(state: State, step: Step) -> State | None:
    """The state that `step` leads to from `state`, None where that step is not allowed."""
    return TRANSITIONS[state].get(step)


def sources(step: Step) -> frozenset[State]:
    """Every state from which `step` is allowed."""
    return frozenset(state for state, steps in TRANSITIONS.items() if step in steps)


class AttemptState(StrEnum):
    """Where one attempt to send stands. `sending` is committed before the gateway is called."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    SKIPPED_LATE = "skipped_late"


ATTEMPT_TRANSITIONS: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.QUEUED: frozenset(
        {
            AttemptState.SENDING,
            AttemptState.SKIPPED_LATE,
            AttemptState.UNKNOWN,  # claimed once, and nobody took it up again in time: it may have left
        }
    ),
    AttemptState.SENDING: frozenset(
        {
            AttemptState.ACCEPTED,
            AttemptState.REJECTED,
            AttemptState.DEFERRED,
            AttemptState.UNKNOWN,
            AttemptState.SKIPPED_LATE,
            AttemptState.QUEUED,  # its lease ran out: whoever claims it next resolves it
        }
    ),
    AttemptState.ACCEPTED: frozenset(),
    AttemptState.REJECTED: frozenset(),
    AttemptState.DEFERRED: frozenset(),
    AttemptState.UNKNOWN: frozenset({AttemptState.ACCEPTED}),  # an early receipt tells that it left
    AttemptState.SKIPPED_LATE: frozenset(),
}

MAY_HAVE_LEFT = frozenset({AttemptState.ACCEPTED, AttemptState.UNKNOWN})


class ReceiptState(StrEnum):
    """What carriers have said of an accepted attempt."""

    SUBMITTED = "submitted"
    ENROUTE = "enroute"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    DELIVERED_IMPLIED = "delivered_implied"  # no carrier said so, but its code was typed right
    DELIVERED = "delivered"


RECEIPT_RANK: Mapping[ReceiptState, int] = {
    ReceiptState.SUBMITTED: 20,
    ReceiptState.ENROUTE: 30,
    ReceiptState.UNKNOWN: 40,
    ReceiptState.EXPIRED: 50,
    ReceiptState.UNDELIVERED: 60,
    ReceiptState.REJECTED: 60,
    ReceiptState.DELIVERED_IMPLIED: 80,
    ReceiptState.DELIVERED: 90,
}


def merge(known: ReceiptState | None, told: ReceiptState) -> ReceiptState:
    """The receipt state after `told`: the higher rank wins, the first of equals stays, so order never matters
    between ranks and a repeat changes nothing."""
    if known is None or RECEIPT_RANK[told] > RECEIPT_RANK[known]:
        return told
    return known
