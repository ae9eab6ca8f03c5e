"""What the database has: whether it answers, its level, its clock, and a configuration that can be carried out."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import asyncpg

from watchword.gateways.contract import Account, Message
from watchword.gateways.sessions import AnyGateway, SessionGateway
from watchword.kernel.tenancy import Route
from watchword.operations import refusals
from watchword.operations.finding import Finding, ill, or_well, well
from watchword.runtime.clock import Clock
from watchword.runtime.configuration import SQL, Configuration, Row, row_of, snapshot
from watchword.runtime.keyring import Keyring, KeyringError, Purpose
from watchword.runtime.migrations import expected_level, level

CONNECT_WITHIN_S = 5.0
ASKED_WITHIN_S = 15.0
# Says nothing true: a text as long as a code's usually is, for a number nobody has.
SAMPLE = Message(
    client_ref="00000000-0000-8000-8000-000000000000",
    to="+00000000000",
    text="000000 is your code. Do not share it.",
    sender="",
    life_s=300,
    at=datetime(2026, 1, 1, tzinfo=UTC),
)
FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""What asking a database can end with."""


async def database(dsn: str, keyring_path: str, gateways: Mapping[str, AnyGateway]) -> list[Finding]:
    """Whether the database answers, is at this version's level, and holds accounts and routes that work."""
    try:
        async with asyncio.timeout(ASKED_WITHIN_S):
            found = [well("database", "answers"), _level(await level(dsn), expected_level())]
            return found + (await _configuration(dsn, keyring_path, gateways) if found[1].ok else [])
    except FAULTS as error:
        return [ill("database", *refusals.of_postgres(error))]


async def clock_skew_s(dsn: str, clock: Clock) -> float:
    """How far the database's clock is before `clock`, in seconds. Raises what asyncpg raises, OSError, TimeoutError."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_WITHIN_S)
    try:
        before = clock.now()
        told = await connection.fetchval("SELECT clock_timestamp()", timeout=CONNECT_WITHIN_S)
        after = clock.now()
    finally:
        await connection.close(timeout=CONNECT_WITHIN_S)
    return float(told.timestamp() - (before.timestamp() + after.timestamp()) / 2)


def _level(found: int, needed: int) -> Finding:
    if found < needed:
        return ill("migrations", f"at {found}, this version needs {needed}", "`watchword migrate`")
    newer = f", this version knows {needed}" if found > needed else ""
    return well("migrations", f"at {found}{newer}")


async def _configuration(dsn: str, keyring_path: str, gateways: Mapping[str, AnyGateway]) -> list[Finding]:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_WITHIN_S)
    try:
        rows = [row_of(record) for record in await connection.fetch(SQL["latest"], timeout=CONNECT_WITHIN_S)]
    finally:
        await connection.close(timeout=CONNECT_WITHIN_S)
    try:
        keyring = Keyring.load_some(keyring_path, {Purpose.ACCOUNT, Purpose.ENDPOINT})
    except KeyringError:
        return [ill("accounts", "their secrets cannot be opened", "mend the keyring first")]
    return configuration(rows, keyring, gateways)


def configuration(rows: Sequence[Row], keyring: Keyring, gateways: Mapping[str, AnyGateway]) -> list[Finding]:
    """Whether what was applied can be read, every account can send, and every route leads to accounts."""
    taken = snapshot(rows, serial=0, keyring=keyring)
    unread = [
        ill(f"{row.kind}s", "cannot be read", "correct it, or rotate nothing away, and `watchword apply`", row.id)
        for row in rows
        if not row.retired and row.kind in ("account", "route") and not _has(taken, row)
    ]
    opened = keyring.holds(Purpose.ACCOUNT)
    accounts = [flaw for account in taken.accounts.values() for flaw in _account(account, gateways)] if opened else []
    encoded = "can encode a message" if opened else "are there; the owner's keyring opens them, this one does not"
    routes = [flaw for route in taken.routes for flaw in _route(route, taken)]
    if not taken.routes:
        routes.append(ill("routes", "there are none: nothing can be sent", "add routes and `watchword apply`"))
    return [
        *unread,
        *or_well(accounts, well("accounts", f"{len(taken.accounts)} {encoded}")),
        *or_well(routes, well("routes", f"{len(taken.routes)} lead to accounts that are there")),
    ]


def _has(taken: Configuration, row: Row) -> bool:
    there: Iterable[str] = taken.accounts if row.kind == "account" else [route.id for route in taken.routes]
    return row.id in there


def _account(account: Account, gateways: Mapping[str, AnyGateway]) -> list[Finding]:
    gateway = gateways.get(account.gateway)
    if gateway is None:
        known = ", ".join(sorted(gateways))
        told = f"there is no gateway {account.gateway}"
        return [ill("accounts", told, f"use one of {known} and `watchword apply`", account.id)]
    try:
        gateway.encode(SAMPLE, account)
        if not isinstance(gateway, SessionGateway):
            gateway.decode(500, {}, b"", account)
    except ValueError as error:
        return [ill("accounts", f"cannot encode: {error}", "correct the account and `watchword apply`", account.id)]
    return []


def _route(route: Route, taken: Configuration) -> list[Finding]:
    return [
        ill("routes", f"leads to the account {name}, which is not there", "`watchword apply` with it", route.id)
        for name in route.accounts
        if taken.account(name) is None
    ]
