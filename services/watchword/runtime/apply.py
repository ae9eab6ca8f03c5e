"""`watchword apply`: makes the database's configuration what a file says, in one transaction.

A document gets a new version only if its content changed; nothing is edited in place. API keys are made once, by
tenant and name, and shown once.
"""

import base64
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import msgspec
import orjson

from watchword.kernel.document import Document
from watchword.runtime import api_keys
from watchword.runtime.configuration import SEALED_SECRETS, SQL, account_aad, endpoint_aad, row_of, snapshot
from watchword.runtime.configuration_file import (
    AccountDocument,
    ApiKeyDocument,
    ConfigurationError,
    Documents,
    EndpointDocument,
    dangling,
    full_id,
    read,
)
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.proofs import warnings_of
from watchword.runtime.routings import Priced, dear
from watchword.runtime.sealing import Key, seal, token

_TIMEOUT_S = 10.0
KINDS = {
    "tenants": "tenant",
    "policies": "policy",
    "templates": "template",
    "accounts": "account",
    "routes": "route",
    "endpoints": "endpoint",
    "prices": "price",
    "caps": "cap",
}

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Change(msgspec.Struct, frozen=True):
    """What happened to one document or key: created, changed, retired, revoked or unchanged."""

    kind: str
    id: str
    action: str
    version: int = 0


class NewKey(msgspec.Struct, frozen=True):
    """A key just made. `key` is nowhere else, so it is printed once, by whoever asked for it."""

    tenant: str
    name: str
    key: str


class Applied(msgspec.Struct, frozen=True):
    """What an apply did, or would do."""

    changes: tuple[Change, ...]
    new_keys: tuple[NewKey, ...]
    warnings: tuple[str, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Stored:
    """One document made ready to be stored. `digest` is over the clear content, so that sealing anew, which gives
    other bytes each time, is not a change; a new account key is one."""

    kind: str
    id: str
    document: Mapping[str, Any] = field(repr=False)
    digest: str


async def apply(
    dsn: str, path: Path, *, keyring: Keyring, gateways: Collection[str], dry_run: bool = False, prune: bool = False
) -> Applied:
    """Apply the file. `prune` retires documents that are not in it. Keyring: purposes `account` and, for
    endpoints, `endpoint`.

    Raises ConfigurationError before anything is written, or what Postgres raises.
    """
    documents = read(path, gateways=gateways)
    connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute(SQL["lock"])
            return await _apply(connection, path, documents, keyring, dry_run=dry_run, prune=prune)
    finally:
        await connection.close(timeout=_TIMEOUT_S)


async def _apply(
    connection: Connection, path: Path, documents: Documents, keyring: Keyring, *, dry_run: bool, prune: bool
) -> Applied:
    latest = {(row["kind"], row["id"]): row for row in await connection.fetch(SQL["latest"])}
    kept = {} if prune else {key: row for key, row in latest.items() if not row["retired"]}
    if problems := [*dangling(documents, _ids(kept)), *_overpriced(documents, kept.values())]:
        raise ConfigurationError([f"{path}: {problem}" for problem in problems])
    changes = [await _store(connection, stored, latest, dry_run) for stored in _stored(documents, keyring)]
    if prune:
        named = {(change.kind, change.id) for change in changes}
        prunable = set(KINDS.values())  # a ruleset comes by another way and goes by it
        gone = [
            row for key, row in latest.items() if key not in named and not row["retired"] and row["kind"] in prunable
        ]
        changes += [await _retire(connection, row, dry_run) for row in gone]
    key_changes, new_keys = await _keys(connection, documents.api_keys, dry_run)
    told = tuple(f"{path}: {warning}" for warning in warnings_of(documents))
    return Applied((*changes, *key_changes), tuple(new_keys), told, dry_run)


def _overpriced(documents: Documents, kept: Iterable[asyncpg.Record]) -> list[str]:
    """Price caps that mean nothing once the file stands over what is `kept`."""
    applied = snapshot(map(row_of, kept), serial=0, keyring=Keyring({}))
    accounts: dict[str, Priced] = {**applied.accounts}
    accounts |= {each.id: each for each in documents.accounts}
    routes = {**{each.id: each for each in applied.routes}, **{each.id: each for each in documents.routes}}
    return [problem for route in routes.values() for problem in dear(route, accounts)]


def _ids(rows: Mapping[tuple[str, str], Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for kind, document_id in rows:
        found.setdefault(kind, set()).add(document_id)
    return found


def _stored(documents: Documents, keyring: Keyring) -> Iterator[_Stored]:
    for table, kind in KINDS.items():
        for document in getattr(documents, table):
            if isinstance(document, AccountDocument):
                yield _sealed(kind, document, keyring.sealing(Purpose.ACCOUNT), account_aad(document.id))
            elif isinstance(document, EndpointDocument):
                aad = endpoint_aad(document.tenant, document.id)
                yield _sealed(kind, document, keyring.sealing(Purpose.ENDPOINT), aad)
            else:
                content = msgspec.to_builtins(document)
                yield _Stored(kind, full_id(document), content, _digest(document))


def _sealed(kind: str, document: AccountDocument | EndpointDocument, key: Key, aad: bytes) -> _Stored:
    content = msgspec.to_builtins(document)
    secrets = orjson.dumps(content.pop("secrets"), option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(_canonical(content) + token(key, secrets.decode()).encode()).hexdigest()
    if document.secrets:
        content[SEALED_SECRETS] = base64.b64encode(seal(key, secrets, aad)).decode("ascii")
    return _Stored(kind, full_id(document), content, digest)


def _digest(document: Document) -> str:
    return hashlib.sha256(_canonical(msgspec.to_builtins(document))).hexdigest()


def _canonical(content: Mapping[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


async def _store(
    connection: Connection, stored: _Stored, latest: Mapping[tuple[str, str], asyncpg.Record], dry_run: bool
) -> Change:
    before = latest.get((stored.kind, stored.id))
    if before is not None and before["digest"] == stored.digest and not before["retired"]:
        return Change(stored.kind, stored.id, "unchanged", before["version"])
    version = before["version"] + 1 if before is not None else 1
    if not dry_run:
        text = orjson.dumps(stored.document).decode()
        await connection.fetchval(SQL["insert"], stored.kind, stored.id, version, text, stored.digest, False)
    return Change(stored.kind, stored.id, "created" if before is None else "changed", version)


async def _retire(connection: Connection, row: asyncpg.Record, dry_run: bool) -> Change:
    version = row["version"] + 1
    if not dry_run:
        await connection.fetchval(SQL["insert"], row["kind"], row["id"], version, row["document"], row["digest"], True)
    return Change(row["kind"], row["id"], "retired", version)


async def _keys(
    connection: Connection, wanted: Collection[ApiKeyDocument], dry_run: bool
) -> tuple[list[Change], list[NewKey]]:
    there = {(row["tenant"], row["name"]): row["revoked"] for row in await connection.fetch(SQL["named_api_keys"])}
    changes, made = [], []
    for document in wanted:
        revoked = there.get((document.tenant, document.name))
        if revoked is None and not document.revoked:
            changes.append(Change("api_key", document.id, "created"))
            if not dry_run:
                made.append(await _make(connection, document))
        elif revoked is False and document.revoked:
            changes.append(Change("api_key", document.id, "revoked"))
            if not dry_run:
                await connection.execute(SQL["revoke_api_key"], document.tenant, document.name)
        else:
            changes.append(Change("api_key", document.id, "unchanged"))
    return changes, made


async def _make(connection: Connection, document: ApiKeyDocument) -> NewKey:
    key = api_keys.new_key(test=document.test)
    key_hash = api_keys.hash_of(key)
    await connection.fetchval(
        SQL["insert_api_key"],
        key_hash,
        api_keys.id_of(key_hash),
        document.tenant,
        document.name,
        sorted(set(document.scopes)),
        document.test,
        key[-4:],
        document.expires_at,
    )
    return NewKey(document.tenant, document.name, key)
