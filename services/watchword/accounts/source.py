"""Where accounts are read from: what was applied to Postgres, or a file before it is applied."""

from collections.abc import Mapping
from pathlib import Path

import asyncpg
import msgspec

from watchword.gateways.catalog import ALL
from watchword.gateways.contract import Account
from watchword.replay import terminal
from watchword.runtime import configuration_file
from watchword.runtime.configuration import SQL, row_of, snapshot
from watchword.runtime.keyring import Keyring, Purpose

CONNECT_WITHIN_S = 5.0


def accounts_of(file: Path | None) -> Mapping[str, Account]:
    """The accounts by id. Raises ConfigurationError, KeyringError or SettingsError, or what asyncpg raises."""
    if file is None:
        return terminal.run(_applied())
    documents = configuration_file.read(file, gateways=frozenset(ALL))
    return {each.id: msgspec.convert(msgspec.to_builtins(each), Account) for each in documents.accounts}


async def _applied() -> Mapping[str, Account]:
    settings = terminal.settings("postgres", "keyring")
    keyring = Keyring.load(settings.keyring, {Purpose.ACCOUNT, Purpose.ENDPOINT})
    connection = await asyncpg.connect(settings.postgres.get_secret_value(), timeout=CONNECT_WITHIN_S)
    try:
        rows = [row_of(record) for record in await connection.fetch(SQL["latest"], timeout=CONNECT_WITHIN_S)]
    finally:
        await connection.close(timeout=CONNECT_WITHIN_S)
    return snapshot(rows, serial=0, keyring=keyring).accounts
