"""Reads the TOML file of `watchword apply` into documents, or says everything that is wrong with it.

One pass finds every fault: unknown tables and fields with the nearest name, values out of bounds, documents that
stand twice, references that lead nowhere. Nothing is written unless nothing is wrong.
"""

import base64
import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from watchword.gateways.catalog import TELLABLE
from watchword.gateways.contract import EVERY_TEMPLATE
from watchword.kernel.destination import Refusal, destination
from watchword.kernel.dlt import DltId
from watchword.kernel.document import ANY, Country, Document, Name
from watchword.kernel.policy import TTL_MIN_S, Policy
from watchword.kernel.spending import Cap, Price
from watchword.kernel.template import Template
from watchword.kernel.tenancy import Route, Tenant
from watchword.runtime import routings
from watchword.runtime.proofs import faults_of
from watchword.runtime.settings import environment_value
from watchword.runtime.spending_rules import faults_of_caps, unpriced

_FILE_MAX = 5_000_000

D = TypeVar("D", bound=Document)
Notified = Literal["verification-ended", "code-issued", "attempt-made", "receipt-recorded", "code-checked"]
_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)  # what the Standard Webhooks scheme asks for


class ConfigurationError(Exception):
    """The file cannot be applied; one sentence per problem, each with its file, table and field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class AccountDocument(Document, frozen=True, kw_only=True):
    """An account as the file has it; the fields of `gateways.contract.Account`. A secret is written out, or as
    "file:/path" or "env:NAME".

    `feedback` has the provider told, by dispatch, whether the codes in its messages were typed; some providers must
    agree to it first (`gateways/<gateway>/README.md`, decision 0054)."""

    id: Name
    gateway: str
    url: Annotated[str, Meta(pattern=r"^(https?|smpps?)://[^\s@]+\Z", max_length=500)]
    sender: Annotated[str, Meta(max_length=120)] = ""
    per_second: Annotated[float, Meta(gt=0, le=100_000)] = 50.0
    inflight_max: Annotated[int, Meta(ge=1, le=10_000)] = 50
    timeout_ms: Annotated[int, Meta(ge=100, le=7_000)] = 5_000
    on_unknown: Literal["resend", "hold"] = "resend"
    price_micros: Annotated[int, Meta(ge=0)] = 0
    prices: dict[str, Annotated[int, Meta(ge=1)]] = msgspec.field(default_factory=dict)
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    sender_registered_in: list[Country] = msgspec.field(default_factory=list)
    dlt_telemarketers: Annotated[list[DltId], Meta(max_length=10)] = msgspec.field(default_factory=list)
    templates: dict[str, Annotated[str, Meta(min_length=1, max_length=100)]] = msgspec.field(default_factory=dict)
    receipt_parts: Literal["all", "first", "last"] = "all"
    feedback: bool = False
    options: dict[str, str] = msgspec.field(default_factory=dict)
    secrets: dict[str, str] = msgspec.field(default_factory=dict)


class EndpointDocument(Document, frozen=True, kw_only=True):
    """Where a tenant is called back, as the file has it: `kernel.tenancy.Endpoint`. The newest secret stands first;
    a second one is the one it replaces. Secrets are written as those of accounts are."""

    id: Name
    tenant: Name
    url: Annotated[str, Meta(min_length=8, max_length=500)]
    events: Annotated[list[Notified], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["verification-ended"]
    )
    secrets: Annotated[list[str], Meta(min_length=1, max_length=2)]
    disabled: bool = False


class ApiKeyDocument(Document, frozen=True, kw_only=True):
    """A key to be made, by its tenant and name; one that exists is left alone. `revoked` ends it."""

    tenant: Name
    name: Name
    scopes: Annotated[list[Literal["start", "check", "read", "cancel", "admin"]], Meta(min_length=1)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    test: bool = False
    revoked: bool = False

    @property
    def id(self) -> str:
        """Tenant and name."""
        return f"{self.tenant}/{self.name}"


@dataclass(frozen=True, slots=True)
class Documents:
    """What one file holds. Account secrets are resolved, so this does not print."""

    tenants: tuple[Tenant, ...] = ()
    policies: tuple[Policy, ...] = ()
    templates: tuple[Template, ...] = ()
    accounts: tuple[AccountDocument, ...] = ()
    routes: tuple[Route, ...] = ()
    endpoints: tuple[EndpointDocument, ...] = ()
    prices: tuple[Price, ...] = ()
    caps: tuple[Cap, ...] = ()
    api_keys: tuple[ApiKeyDocument, ...] = ()

    def __repr__(self) -> str:
        return f"<Documents {len(self.tenants)} tenants, {len(self.accounts)} accounts, {len(self.routes)} routes>"


FORMS: Mapping[str, str] = {
    "countries": "two capital letters each (ISO 3166), or 001",
    "country": "two capital letters (ISO 3166), 001 or *",
    "api_key": "the name of a key: lower-case letters, digits and _ . -, or *",
    "currency": "three capital letters (ISO 4217)",
    "android_hash": "the 11 characters of base64 that the app's build gives",
    "default_region": "two capital letters (ISO 3166)",
    "dlt_telemarketers": "12 to 20 digits each, the one who delivers last",
    "entity_id": "12 to 20 digits",
    "header": "six letters, without the prefix and suffix that the network adds",
    "host": "a domain such as shop.example, without scheme and port",
    "price_currency": "three capital letters (ISO 4217)",
    "range_prefix": 'the beginning of numbers with a plus, such as "+9198"',
    "sender_registered_in": "two capital letters each (ISO 3166)",
    "template_id": "12 to 20 digits",
    "results_topic": "the name of a topic",
    "url": "an address that begins with http://, https://, smpp:// or smpps:// and holds no user and no spaces",
}

TABLES: Mapping[str, type[Document]] = {
    "tenants": Tenant,
    "policies": Policy,
    "templates": Template,
    "accounts": AccountDocument,
    "routes": Route,
    "endpoints": EndpointDocument,
    "prices": Price,
    "caps": Cap,
    "api_keys": ApiKeyDocument,
}


def full_id(document: Document) -> str:
    """The id under which a document is stored: policies, templates and endpoints belong to their tenant."""
    own = str(getattr(document, "id", ""))
    return f"{document.tenant}/{own}" if isinstance(document, Policy | Template | EndpointDocument) else own


def read(path: Path, *, gateways: Collection[str]) -> Documents:
    """The documents in the file. `gateways` are the names that accounts may use. Raises ConfigurationError."""
    tables = _parse(path)
    problems = [f"{path}: {_no_such('table', name, TABLES)}" for name in tables if name not in TABLES]
    found: dict[str, tuple[Any, ...]] = {
        table: tuple(_documents(path, table, tables.get(table, []), struct, problems))
        for table, struct in TABLES.items()
    }
    documents = Documents(**found)
    problems += [f"{path}: {fault}" for fault in _faults(documents, gateways)]
    if problems:
        raise ConfigurationError(problems)
    return documents


def dangling(documents: Documents, applied: Mapping[str, Collection[str]]) -> list[str]:
    """References that lead nowhere: neither into the file nor to what is `applied` already (full ids per kind)."""
    there = {
        "tenant": {*applied.get("tenant", ()), *(tenant.id for tenant in documents.tenants)},
        "template": {*applied.get("template", ()), *(full_id(text) for text in documents.templates)},
        "account": {*applied.get("account", ()), *(account.id for account in documents.accounts)},
    }
    wanted = [
        *(("policies", full_id(policy), "tenant", policy.tenant) for policy in documents.policies),
        *(("templates", full_id(text), "tenant", text.tenant) for text in documents.templates),
        *(("api_keys", key.id, "tenant", key.tenant) for key in documents.api_keys),
        *(("endpoints", full_id(one), "tenant", one.tenant) for one in documents.endpoints),
        *(("policies", full_id(one), "template", f"{one.tenant}/{one.template}") for one in documents.policies),
        *(("routes", route.id, "account", account) for route in documents.routes for account in route.accounts),
        *(("caps", cap.id, "tenant", cap.tenant) for cap in documents.caps if cap.tenant != ANY),
        *(
            ("accounts", account.id, "template", text)
            for account in documents.accounts
            for text in account.templates
            if text != EVERY_TEMPLATE
        ),
    ]
    priced = {*applied.get("price", ()), *(price.country for price in documents.prices)}
    return unpriced(documents.caps, priced) + [
        f'[[{table}]] "{name}" names {_no_such(kind, target, there[kind])}'
        for table, name, kind, target in wanted
        if target not in there[kind]
    ]


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_MAX)
        return tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}; name a file that can be read"]) from None
    except (ValueError, RecursionError) as error:  # not only what TOML calls a fault: endless numbers, endless brackets
        raise ConfigurationError([f"{path} is not TOML: {error}"]) from None


def _documents(path: Path, table: str, given: object, struct: type[D], problems: list[str]) -> list[D]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        problems.append(f"{path}: {table} is written as [[{table}]], once for each")
        return []
    found = []
    for number, one in enumerate(given, start=1):
        where = f"{path}: [[{table}]] {_called(one, number)}"
        unknown = [_no_such("field", name, struct.__struct_fields__) for name in one if name not in _fields(struct)]
        problems += [f"{where} has {fault}" for fault in unknown]
        known = {name: value for name, value in one.items() if name in _fields(struct)}
        try:
            known = _with_secrets(known)
            found.append(msgspec.convert(known, struct))
        except msgspec.ValidationError as error:
            problems.append(f"{where}: {_plainly(str(error))}")
        except ValueError as error:
            problems.append(f"{where}: {error}")
    return found


def _plainly(message: str) -> str:
    """msgspec's message with the field in front, and a form in words where it would show a pattern."""
    told, _, path = message.partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    name = field.partition("[")[0].rpartition(".")[2]
    if "matching regex" in told:
        told = f"must be {FORMS.get(name, 'lower-case letters, digits and _ . -, up to 63')}"
    return f"{field}: {told}" if field else told


def _fields(struct: type[Document]) -> tuple[str, ...]:
    return struct.__struct_fields__


def _called(one: Mapping[str, Any], number: int) -> str:
    name = one.get("id", one.get("name", ""))
    return f'"{name}"' if isinstance(name, str) and name else f"number {number}"


def _with_secrets(document: dict[str, Any]) -> dict[str, Any]:
    match document.get("secrets"):
        case dict() as named if all(isinstance(value, str) for value in named.values()):
            return {**document, "secrets": {name: _secret(name, value) for name, value in named.items()}}
        case list() as listed if all(isinstance(value, str) for value in listed):
            return {**document, "secrets": [_secret(str(at), value) for at, value in enumerate(listed, start=1)]}
    return document


def _secret(name: str, told: str) -> str:
    if told.startswith("file:"):
        try:
            return Path(told.removeprefix("file:")).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"secret {name!r}: {told} cannot be read") from None
    if told.startswith("env:"):
        value = environment_value(told.removeprefix("env:"))
        if not value:
            raise ValueError(f"secret {name!r}: {told} is not set in the environment")
        return value
    return told


def _faults(documents: Documents, gateways: Collection[str]) -> list[str]:
    """What is wrong within the file, beyond the single field."""
    faults = [*_doubles(documents), *_shared_sources(documents.tenants), *_taken_topics(documents.tenants)]
    for policy in documents.policies:
        if policy.ttl_s < TTL_MIN_S and not policy.allow_short_ttl:
            faults.append(
                f'[[policies]] "{full_id(policy)}": ttl_s below {TTL_MIN_S} needs allow_short_ttl = true; '
                "messages often arrive later than that"
            )
    faults += [*faults_of(documents), *routings.faults_of(documents), *faults_of_caps(documents.caps)]
    for endpoint in documents.endpoints:
        faults += _endpoint_faults(endpoint)
    for account in documents.accounts:
        if account.gateway not in gateways:
            faults.append(f'[[accounts]] "{account.id}" names {_no_such("gateway", account.gateway, gateways)}')
        elif account.feedback and account.gateway not in TELLABLE:
            faults.append(
                f'[[accounts]] "{account.id}": feedback cannot be told through the gateway "{account.gateway}"; it can '
                f"through {', '.join(sorted(TELLABLE))}"
            )
    return faults


def _endpoint_faults(endpoint: EndpointDocument) -> Iterable[str]:
    """What keeps an endpoint from being called. Secrets are never part of the words."""
    where = f'[[endpoints]] "{full_id(endpoint)}"'
    refusal = destination(endpoint.url, local=True)
    if isinstance(refusal, Refusal):
        yield f"{where}: url is refused ({refusal}); it is https://, a public host, and no user or fragment"
    for number, secret in enumerate(endpoint.secrets, start=1):
        if not _is_signing_secret(secret):
            yield f"{where}: secret {number} is not whsec_ and the base64 of 24 to 64 bytes"


def _is_signing_secret(secret: str) -> bool:
    try:
        return len(base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)) in _SECRET_BYTES and (
            secret.startswith(_SECRET_PREFIX)
        )
    except ValueError:
        return False


def _doubles(documents: Documents) -> list[str]:
    faults = []
    for table in TABLES:
        seen: set[str] = set()
        for document in getattr(documents, table):
            name = full_id(document)
            if name in seen:
                faults.append(f'[[{table}]] "{name}" stands twice')
            seen.add(name)
    return faults


def _taken_topics(tenants: Iterable[Tenant]) -> list[str]:
    return [
        f'[[tenants]] "{tenant.id}": results_topic begins with otp., and such names are for the pipeline\'s own topics'
        for tenant in tenants
        if tenant.results_topic.startswith("otp.")
    ]


def _shared_sources(tenants: Iterable[Tenant]) -> list[str]:
    owners: dict[str, str] = {}
    faults = []
    for tenant in tenants:
        for source in tenant.sources:
            if owners.setdefault(source, tenant.id) != tenant.id:
                faults.append(f'[[tenants]] "{tenant.id}": source {source!r} belongs to "{owners[source]}" already')
    return faults


def _no_such(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'an unknown {kind} "{name}"' + (f', did you mean "{near[0]}"?' if near else "")
