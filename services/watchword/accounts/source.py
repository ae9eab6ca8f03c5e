"""Where accounts and templates are read from: what was applied to Postgres, or a file before it is applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import msgspec

from watchword.gateways.catalog import ALL
from watchword.gateways.contract import Account
from watchword.kernel.template import Template
from watchword.replay import terminal
from watchword.runtime import configuration_file
from watchword.runtime.configuration import SQL, row_of, snapshot
from watchword.runtime.keyring import Keyring, Purpose

CONNECT_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Configured:
    """Accounts by id, and the texts that may go through them."""

    accounts: Mapping[str, Account]
    templates: tuple[Template, ...]


def configured(file: Path | None) -> Configured:
    """What there is. Raises ConfigurationError, KeyringError or SettingsError, or what asyncpg raises."""
    if file is None:
        return terminal.run(_applied())
    documents = configuration_file.read(file, gateways=frozenset(ALL))
    accounts = {each.id: msgspec.convert(msgspec.to_builtins(each), Account) for each in documents.accounts}
    return Configured(accounts, documents.templates)


async def _applied() -> Configured:
    settings = terminal.settings("postgres", "keyring")
    keyring = Keyring.load(settings.keyring, {Purpose.ACCOUNT, Purpose.ENDPOINT})
    connection = await asyncpg.connect(settings.postgres.get_secret_value(), timeout=CONNECT_WITHIN_S)
    try:
        rows = [row_of(record) for record in await connection.fetch(SQL["latest"], timeout=CONNECT_WITHIN_S)]
    finally:
        await connection.close(timeout=CONNECT_WITHIN_S)
    found = snapshot(rows, serial=0, keyring=keyring)
    return Configured(found.accounts, tuple(found.templates.values()))
