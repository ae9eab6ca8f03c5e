"""The applied configuration as a worker sees it: one immutable snapshot, swapped when something was applied."""

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from watchword.gateways.contract import Account
from watchword.kernel.document import read_stored
from watchword.kernel.policy import Policy
from watchword.kernel.spending import Cap, Price
from watchword.kernel.template import Template
from watchword.kernel.tenancy import Endpoint, Route, Tenant, most_specific_first
from watchword.runtime.api_keys import ApiKey
from watchword.runtime.health import Check
from watchword.runtime.keyring import Keyring, Purpose
from watchword.runtime.postgres import Pool, statements
from watchword.runtime.sealing import SealBroken, joined, open_sealed
from watchword.runtime.stop import Turning

log = structlog.get_logger()

POLL_S = 1.0
DEADLINE_S = 5.0
SEALED_SECRETS = "secrets_sealed"
RULESET = "ruleset"
SQL = statements("watchword.runtime", "configuration.sql")

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Row:
    """The newest version of one document. `id` of policies and templates is "<tenant>/<id>"."""

    kind: str
    id: str
    version: int
    document: Mapping[str, Any]
    retired: bool = False


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was applied, as of one moment. `serial` grows with every change. `rulesets` are fraud's, by role,
    as they were loaded."""

    serial: int = 0
    tenants: Mapping[str, Tenant] = field(default_factory=_nothing)
    policies: Mapping[tuple[str, str], Policy] = field(default_factory=_nothing)
    policy_versions: Mapping[tuple[str, str], int] = field(default_factory=_nothing)
    templates: Mapping[tuple[str, str], Template] = field(default_factory=_nothing)
    accounts: Mapping[str, Account] = field(default_factory=_nothing)
    routes: tuple[Route, ...] = ()
    endpoints: Mapping[tuple[str, str], Endpoint] = field(default_factory=_nothing)
    caps: tuple[Cap, ...] = ()
    rulesets: Mapping[str, Mapping[str, Any]] = field(default_factory=_nothing)
    prices_micros: Mapping[str, int] = field(default_factory=_nothing)
    api_keys: Mapping[bytes, ApiKey] = field(default_factory=_nothing, repr=False)

    def tenant(self, tenant: str) -> Tenant | None:
        """The tenant of that id."""
        return self.tenants.get(tenant)

    def tenant_of_source(self, source: str) -> Tenant | None:
        """The tenant whose publisher a CloudEvents source is; a source belongs to one tenant at most."""
        return next((tenant for tenant in self.tenants.values() if source in tenant.sources), None)

    def policy(self, tenant: str, policy: str) -> Policy | None:
        """The tenant's policy of that id."""
        return self.policies.get((tenant, policy))

    def policy_version(self, tenant: str, policy: str) -> int:
        """The version of that policy now in force, 0 if there is none."""
        return self.policy_versions.get((tenant, policy), 0)

    def template(self, tenant: str, template: str) -> Template | None:
        """The tenant's template of that id."""
        return self.templates.get((tenant, template))

    def account(self, account: str) -> Account | None:
        """The account of that id; its secrets are there if the process holds the key to them."""
        return self.accounts.get(account)

    def routes_for(self, country: str, range_: str, purpose: str) -> tuple[Route, ...]:
        """The routes that serve a destination, most specific first."""
        return tuple(route for route in self.routes if route.serves(country, range_, purpose))

    def endpoints_of(self, tenant: str) -> tuple[Endpoint, ...]:
        """Where the tenant is called back, disabled ones too; their secrets as with accounts."""
        return tuple(endpoint for endpoint in self.endpoints.values() if endpoint.tenant == tenant)

    def api_key(self, key_hash: bytes) -> ApiKey | None:
        """The key with that SHA-256, usable or not."""
        return self.api_keys.get(key_hash)


def snapshot(
    rows: Iterable[Row], *, serial: int, keyring: Keyring, api_keys: Mapping[bytes, ApiKey] | None = None
) -> Configuration:
    """The configuration that `rows` make. A document that cannot be read is left out and logged: the others stand."""
    live = [row for row in rows if not row.retired]
    policies = {(policy.tenant, policy.id): policy for policy, _ in _read(live, "policy", Policy)}
    versions = {(policy.tenant, policy.id): version for policy, version in _read(live, "policy", Policy)}
    endpoints = (_endpoint(row, keyring) for row in live if row.kind == "endpoint")
    accounts = (_account(row, keyring) for row in live if row.kind == "account")
    return Configuration(
        serial=serial,
        tenants=MappingProxyType({tenant.id: tenant for tenant, _ in _read(live, "tenant", Tenant)}),
        policies=MappingProxyType(policies),
        policy_versions=MappingProxyType(versions),
        templates=MappingProxyType({(text.tenant, text.id): text for text, _ in _read(live, "template", Template)}),
        accounts=MappingProxyType({account.id: account for account in accounts if account is not None}),
        routes=most_specific_first(route for route, _ in _read(live, "route", Route)),
        endpoints=MappingProxyType({(each.tenant, each.id): each for each in endpoints if each is not None}),
        caps=tuple(cap for cap, _ in sorted(_read(live, "cap", Cap), key=lambda read: read[0].id)),
        prices_micros=MappingProxyType({price.country: price.micros for price, _ in _read(live, "price", Price)}),
        rulesets=MappingProxyType({row.id: row.document for row in live if row.kind == RULESET}),
        api_keys=MappingProxyType(dict(api_keys or {})),
    )


def _read(rows: Iterable[Row], kind: str, struct: type[T]) -> list[tuple[T, int]]:
    """Documents of a kind with their versions. A field that a newer version wrote is passed over."""
    found = []
    for row in rows:
        if row.kind == kind:
            try:
                found.append((read_stored(row.document, struct), row.version))
            except msgspec.ValidationError as error:
                log.error("configuration.document_refused", kind=kind, document=row.id, error=str(error))
    return found


def _account(row: Row, keyring: Keyring) -> Account | None:
    known = {name: value for name, value in row.document.items() if name in Account.__dataclass_fields__}
    try:
        secrets: dict[str, str] = _secrets(row, keyring, Purpose.ACCOUNT, account_aad(row.id)) or {}
        return msgspec.convert({**known, "secrets": secrets}, Account)
    except (SealBroken, msgspec.MsgspecError) as error:
        log.error("configuration.document_refused", kind="account", document=row.id, error=str(error))
        return None


def _endpoint(row: Row, keyring: Keyring) -> Endpoint | None:
    known = {name: value for name, value in row.document.items() if name in Endpoint.__dataclass_fields__}
    try:
        aad = endpoint_aad(str(known.get("tenant")), str(known.get("id")))
        secrets = _secrets(row, keyring, Purpose.ENDPOINT, aad) or []
        return msgspec.convert({**known, "version": row.version, "secrets": secrets}, Endpoint)
    except (SealBroken, msgspec.MsgspecError) as error:
        log.error("configuration.document_refused", kind="endpoint", document=row.id, error=str(error))
        return None


def _secrets(row: Row, keyring: Keyring, purpose: Purpose, aad: bytes) -> Any:
    """What was sealed in a document; None where there is nothing or this process holds no key to it."""
    sealed = row.document.get(SEALED_SECRETS, "")
    if not sealed or not keyring.holds(purpose):
        return None
    return msgspec.json.decode(open_sealed(keyring.opening(purpose), base64.b64decode(sealed), aad))


def account_aad(account: str) -> bytes:
    """What the sealed secrets of an account belong to."""
    return joined("account", account)


def endpoint_aad(tenant: str, endpoint: str) -> bytes:
    """What the sealed secrets of an endpoint belong to."""
    return joined("endpoint", tenant, endpoint)


class ConfigurationWatch:
    """Keeps the newest snapshot: looks once a second, reads only after a change, keeps the last while Postgres is
    away."""

    def __init__(
        self, pool: Pool, keyring: Keyring, *, with_api_keys: bool = False, check: Check | None = None
    ) -> None:
        """`with_api_keys` for workers whose role may read them; `check` is told how the last look went."""
        self._pool = pool
        self._keyring = keyring
        self._with_api_keys = with_api_keys
        self._check = check
        self._seen: tuple[Any, ...] = ()
        self._current = Configuration()
        self._turning = Turning("configuration", self._turn, pause_s=POLL_S)

    def current(self) -> Configuration:
        """The newest snapshot. Ask each time: it is replaced, never changed."""
        return self._current

    async def start(self) -> None:
        """Read for the first time, then keep looking. Raises what Postgres raises, TimeoutError past 5 s."""
        await self.refresh()
        await self._turning.start()

    async def stop(self) -> None:
        """Stop looking."""
        await self._turning.stop()

    async def refresh(self) -> None:
        """Look now, and read if something changed. Raises as `start` does."""
        async with asyncio.timeout(DEADLINE_S):
            seen = tuple(await self._pool.fetchrow(SQL["serial_and_keys" if self._with_api_keys else "serial"]) or ())
            if seen != self._seen:
                self._current = await self._load(seen[0])
                self._seen = seen
                log.info("configuration.taken", serial=seen[0])

    async def _turn(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            if self._check is not None:
                self._check.failing(type(error).__name__)
            raise
        if self._check is not None:
            self._check.ok()

    async def _load(self, serial: int) -> Configuration:
        rows = [row_of(record) for record in await self._pool.fetch(SQL["latest"])]
        keys = await self._pool.fetch(SQL["api_keys"]) if self._with_api_keys else []
        return snapshot(
            rows, serial=serial, keyring=self._keyring, api_keys={record["hash"]: _api_key(record) for record in keys}
        )


def row_of(record: asyncpg.Record) -> Row:
    """A row of the statement `latest`."""
    document = msgspec.json.decode(record["document"])
    return Row(record["kind"], record["id"], record["version"], document, record["retired"])


def _api_key(record: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=record["id"],
        tenant=record["tenant"],
        name=record["name"],
        scopes=frozenset(record["scopes"]),
        test=record["test"],
        expires_at=record["expires_at"],
        revoked_at=record["revoked_at"],
    )
