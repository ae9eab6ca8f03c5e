"""The statements of store.sql as functions: rows in and out, no decision."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from watchword.dispatch.decide.facts import Try
from watchword.dispatch.decide.tell import Conclusion
from watchword.events.attempt_made import AttemptMade
from watchword.events.verification import Facts, Signals
from watchword.kernel.verification import AttemptState
from watchword.runtime import acting
from watchword.runtime.acting import Cause, Told
from watchword.runtime.at_once import Move
from watchword.runtime.postgres import Connection, Pool, columns, statements

LEASE_S: Final = 15.0

SQL = statements("watchword.dispatch")
_RESULTS = {name: SQL[name] for name in ("conclude", "requeue", "queue_next", "fail")}
_CLAIM_NEXT_WIDTH = 11

SendKey = tuple[UUID, int]


class Ask(msgspec.Struct, frozen=True):
    """One attempt to be claimed. `account` and `gateway` are "" where nobody is to be called."""

    attempt_id: UUID
    recovery: int
    account: str = ""
    gateway: str = ""


class Sealed(msgspec.Struct, frozen=True):
    """What a message is made of, as it lies in the database. A missing part cannot be sent."""

    number: bytes
    wrapped_key: bytes | None
    message: bytes | None

    def __repr__(self) -> str:
        return "<Sealed>"


class Claim(msgspec.Struct, frozen=True):
    """An attempt that is ours until `lease_ends_s` on the monotonic clock, read before the claim was made and so
    never later than the lease in the database. `seq` is the number of its verification's newest event by then."""

    attempt_id: UUID
    about: Facts
    send_no: int
    try_no: int
    code_version: int
    recovery: int
    send_deadline: datetime
    claimed_at: datetime
    requested_at: datetime
    checks_used: int
    signals: Signals
    live: bool
    received: bool
    settled: bool
    hedges: bool
    sealed: Sealed
    lease_ends_s: float
    seq: int


class Store:
    """What dispatch keeps in Postgres. `owner` is unique to this start of this process."""

    def __init__(self, pool: Pool, owner: str) -> None:
        self._pool = pool
        self.owner = owner

    async def tries(self, sends: Sequence[SendKey]) -> Mapping[SendKey, tuple[Try, ...]]:
        """Every try of each send, the first one first."""
        rows = await self._pool.fetch(SQL["tries"], [each[0] for each in sends], [each[1] for each in sends])
        found: dict[SendKey, list[Try]] = {}
        for row in rows:
            told = _try(row)
            found.setdefault((row["verification_id"], row["send_no"]), []).append(told)
        return {key: tuple(tries) for key, tries in found.items()}

    async def claim(self, asks: Sequence[Ask]) -> list[Claim | None]:
        """Claim each attempt that may be, in one statement, committed when this returns; None for the others."""
        started_s = time.monotonic()
        rows = await self._pool.fetch(
            SQL["claim"],
            [each.attempt_id for each in asks],
            [each.recovery for each in asks],
            [each.account for each in asks],
            [each.gateway for each in asks],
            self.owner,
            LEASE_S,
        )
        claimed = {row["id"]: _claim(row, started_s + LEASE_S) for row in rows}
        return [claimed.get(each.attempt_id) for each in asks]

    async def conclude(
        self, connection: Connection, endings: Sequence[tuple[Cause, Conclusion]]
    ) -> tuple[list[Told], frozenset[UUID]]:
        """Write the results of a batch within the caller's transaction, no two of one verification.

        Answers what is to be told, and which of the tries that follow at once are ours.
        """
        await connection.fetch(SQL["hold"], sorted({each.attempt.about.verification_id for _, each in endings}))
        told = await acting.write(connection, [(cause, each.done) for cause, each in endings], _RESULTS)
        if named := _named(told):
            await connection.execute(SQL["wake_parked"], *columns(named, 2))
        rows = [_following(each) for _, each in endings if each.follow is not None]
        if not rows:
            return told, frozenset()
        claimed = await connection.fetch(SQL["claim_next"], *columns(rows, _CLAIM_NEXT_WIDTH), LEASE_S)
        return told, frozenset(row["id"] for row in claimed)


def _try(row: asyncpg.Record) -> Try:
    state = AttemptState(row["state"])
    return Try(row["try_no"], row["account"], state, row["outcome"], row["claimed_at"], row["hedges"])


def _claim(row: asyncpg.Record, lease_ends_s: float) -> Claim:
    return Claim(
        attempt_id=row["id"],
        about=Facts(**{name: row[name] for name in Facts.__struct_fields__}),
        send_no=row["send_no"],
        try_no=row["try_no"],
        code_version=row["code_version"],
        recovery=row["recovery"],
        send_deadline=row["send_deadline"],
        claimed_at=row["claimed_at"],
        requested_at=row["created_at"],
        checks_used=row["checks_used"],
        signals=msgspec.convert(row["signals"], Signals),
        live=row["live"],
        received=row["received"],
        settled=row["settled"],
        hedges=row["hedges"],
        sealed=Sealed(row["number_sealed"], row["wrapped_key"], row["message_sealed"]),
        lease_ends_s=lease_ends_s,
        seq=row["seq"],
    )


def concluded_at_once(cause: Cause, conclusion: Conclusion, seq: int) -> Move | None:
    """A result as the row of `conclude_at_once`, None for one that something follows. `seq` as in its claim."""
    writes = conclusion.done.writes
    if [write.statement for write in writes] != ["conclude"] or conclusion.follow is not None:
        return None
    [write] = writes
    verification = str(conclusion.attempt.about.verification_id)
    return Move(verification, seq, (write.key, *write.row), acting.numbered(write.emits, seq, cause))


def _named(told: Sequence[Told]) -> list[tuple[str, str]]:
    """The accounts and provider's ids of the attempts that have one now."""
    made = (each.emit.event for each in told)
    return [(one.account, one.provider_id) for one in made if isinstance(one, AttemptMade) and one.provider_id]


def _following(conclusion: Conclusion) -> tuple[object, ...]:
    attempt, follow = conclusion.attempt, conclusion.follow
    assert follow is not None
    account = follow.choice.account
    identity = (follow.id, attempt.id, attempt.owner, attempt.recovery, attempt.about.verification_id)
    counters = (attempt.send_no, attempt.try_no + 1, attempt.code_version)
    return (*identity, *counters, attempt.send_deadline, account.id, account.gateway)
