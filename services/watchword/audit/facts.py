"""Everything the checks look at, as values. Who gathers them is in gather.py; the checks never ask for more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from watchword.audit.versions import Limit
from watchword.replay.compare import ALWAYS
from watchword.replay.fold import Fold
from watchword.replay.live import Live


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one verification's policy allows."""

    checks_max: int
    sends_max: int


@dataclass(frozen=True, slots=True)
class Codes:
    """How many codes a verification has, and the number of the newest."""

    count: int
    newest: int


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that waits or is claimed. `lease_until` is None while nobody has claimed it."""

    id: UUID
    verification_id: UUID
    state: str
    lease_until: datetime | None
    send_deadline: datetime


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event that waits to be published."""

    id: UUID
    topic: str
    key: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Parked:
    """A receipt whose attempt is not known yet."""

    id: str
    parked_until: datetime


@dataclass(frozen=True, slots=True)
class Counter:
    """What a cap allows in one hour or day (`span`) until `ends_at`, what is held of it and what is spent, in micros.
    `key` is `<span>/<cap>/<whose>/<when it began>`."""

    key: str
    cap: str
    span: str
    ends_at: datetime
    limit_micros: int
    held_micros: int
    spent_micros: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Money held for one send, under the counters of these keys."""

    verification_id: UUID
    send_no: int
    price_micros: int
    counters: tuple[str, ...]


def worker_of(group: str) -> str:
    """The worker whose group it is, or would be: named like it, perhaps with a suffix."""
    return group.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a group is in one partition: `committed` next, `first` the oldest that is kept, `end` after the newest.
    `waiting_since` is when the oldest record it has not taken was appended, None where there is none."""

    group: str
    topic: str
    partition: int
    committed: int
    first: int
    end: int
    waiting_since: datetime | None = None

    @property
    def worker(self) -> str:
        """Whose group it is."""
        return worker_of(self.group)

    @property
    def lag(self) -> int:
        """How many offsets it has not taken."""
        return max(self.end - max(self.committed, self.first), 0)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request on the inbox whose offset is committed, and when it was appended."""

    place: str
    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Untouched:
    """A dead letter. `intact` says whether key and value are those of the record it was made of, None where that
    record is gone; `handled` that an operator has dealt with it; `readable` that it can be read now. `good` says in
    words why it was no poison when it was buried, "" where nothing shows that."""

    place: str
    reason: str
    at: datetime
    intact: bool | None = None
    handled: bool = False
    readable: bool = False
    good: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered. `positions` were read before the snapshot and the topics after it, so that what a committed
    offset stands for is in the tables, and what the tables hold is on the topics or in the outbox.

    `answered` are the ids and places of requests that led to something; `passed_over` records below a committed
    offset whose effect is missing; `sightings` numbers and codes where none may be; `carrier` how many SMS phones
    got for each reference, None where no ledger was asked for; `horizon` the moment before which records are gone.
    `counters`, `holds`, `limits` and `prices_micros` are what caps allow and what became of it (money.py). `unseen` are
    the topics that could not be looked at, and in words why.
    """

    live: Live
    fold: Fold
    grace: timedelta = timedelta(seconds=30)
    at_rest: bool = False
    horizon: datetime = ALWAYS
    bounds: Mapping[UUID, Bounds] = field(default_factory=dict)
    codes: Mapping[UUID, Codes] = field(default_factory=dict)
    open_attempts: tuple[OpenAttempt, ...] = ()
    outbox: tuple[OutboxEvent, ...] = ()
    parked: tuple[Parked, ...] = ()
    positions: tuple[Position, ...] = ()
    submitted: tuple[Submitted, ...] = ()
    answered: frozenset[str] = frozenset()
    passed_over: tuple[tuple[str, str], ...] = ()
    sightings: tuple[tuple[str, str], ...] = ()
    letters: tuple[Untouched, ...] = ()
    carrier: Mapping[str, int] | None = None
    counters: tuple[Counter, ...] = ()
    holds: tuple[Hold, ...] = ()
    limits: tuple[Limit, ...] = ()
    prices_micros: Mapping[str, int] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def late(self) -> datetime:
        """What ought to have happened before this moment is late."""
        return self.live.at - self.grace


@dataclass(frozen=True, slots=True, order=True)
class Breach:
    """One promise broken: the id of what shows it, and in words how."""

    id: str
    told: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `notes` are worth knowing and break nothing; `unseen` is what it asks for and could not
    look at, in words."""

    check: str
    promise: str
    breaches: tuple[Breach, ...]
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def kept(self) -> bool | None:
        """Whether the promise is kept; None where no breach was found in what could be looked at, and that is not
        all."""
        if self.breaches:
            return False
        return None if self.unseen else True
