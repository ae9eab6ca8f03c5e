"""Finding the attempts that carriers mean, under lock and in lock order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg

from watchword.events.verification import Facts
from watchword.gateways.contract import Receipt
from watchword.receipts.decide import AttemptFacts
from watchword.runtime.postgres import Connection, columns, statements

SQL = statements("watchword.receipts")
_IN_LOCK_ORDER = ("record", "record_part", "keep_unmapped", "remap", "park", "look_later", "unpark")
WRITES_IN_LOCK_ORDER = {name: SQL[name] for name in _IN_LOCK_ORDER}


@dataclass(frozen=True, slots=True)
class Meant:
    """The attempts that a batch of receipts may mean, by id and by (account, provider id), and the number of the newest
    event of each verification that was looked at without a lock."""

    by_id: Mapping[UUID, AttemptFacts]
    by_provider: Mapping[tuple[str, str], AttemptFacts]
    newest: Mapping[UUID, int] = field(default_factory=dict)

    def of(self, account: str, receipt: Receipt) -> AttemptFacts | None:
        """The attempt a receipt of `account` means: by our own reference first. An attempt that was sent through
        another account is none of this one's business."""
        identity = uuid_of(receipt.client_ref)
        named = self.by_id.get(identity) if identity else None
        if named is not None and named.account in ("", account):
            return named
        return self.by_provider.get((account, receipt.provider_id))


async def meant(connection: Connection, receipts: Iterable[tuple[str, Receipt]]) -> Meant:
    """The attempts meant by (account, receipt), locked after their verifications until the caller commits."""
    found = await connection.fetch(SQL["references"], *_references(receipts))
    if not found:
        return Meant({}, {})
    verifications = {
        row["verification_id"]: _about(row)
        for row in await connection.fetch(SQL["verifications"], list({row["verification_id"] for row in found}))
    }
    rows = await connection.fetch(SQL["attempts"], [row["id"] for row in found])
    return _meant([(row, about) for row in rows if (about := verifications.get(row["verification_id"]))])


async def looked_at(connection: Connection, receipts: Iterable[tuple[str, Receipt]]) -> Meant:
    """The same without a lock, in one query."""
    rows = await connection.fetch(SQL["look"], *_references(receipts))
    return replace(
        _meant([(row, _about(row)) for row in rows]), newest={row["verification_id"]: row["seq"] for row in rows}
    )


def uuid_of(reference: str) -> UUID | None:
    """The attempt id in a carrier's echo, None if it is none of ours by its shape."""
    try:
        return UUID(reference)
    except ValueError:
        return None


def _references(receipts: Iterable[tuple[str, Receipt]]) -> tuple[list[UUID], list[str], list[str]]:
    """Our own references as receipts name them, and the provider's with their accounts."""
    told = list(receipts)
    identities = [identity for _, receipt in told if (identity := uuid_of(receipt.client_ref))]
    accounts, provider_ids = columns([(account, one.provider_id) for account, one in told if one.provider_id], 2)
    return identities, accounts, provider_ids


def _about(row: asyncpg.Record) -> Facts:
    return Facts(**{name: row[name] for name in Facts.__struct_fields__})


def _meant(rows: Sequence[tuple[asyncpg.Record, Facts]]) -> Meant:
    by_id = {row["id"]: _attempt_of(row, about) for row, about in rows}
    by_provider = {(row["account"], row["provider_id"]): by_id[row["id"]] for row, _ in rows if row["provider_id"]}
    return Meant(by_id, by_provider)


def _attempt_of(row: asyncpg.Record, about: Facts) -> AttemptFacts:
    return AttemptFacts(
        about=about,
        attempt_id=row["id"],
        account=row["account"],
        receipt_rank=row["receipt_rank"],
        segments=row["segments"],
        accepted_at=row["concluded_at"] or row["claimed_at"],
    )
