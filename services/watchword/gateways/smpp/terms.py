"""An account as SMPP needs it: where to bind, as whom, how much at a time, in which forms. Read from its options."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

from watchword.gateways import reasons
from watchword.gateways.contract import Account
from watchword.gateways.outcome import OutcomeClass
from watchword.gateways.parameters import TLV_PREFIX, Parameter, parameters_of
from watchword.gateways.sessions import Endpoint
from watchword.gateways.smpp.ids import IdFormat
from watchword.gateways.smpp.text import Alphabet, Long

PLAIN_PORT: Final = 2775
TLS_PORT: Final = 3550
STATUS_PREFIX: Final = "status_"
_STATUS = re.compile(r"[0-9a-f]{1,8}")
_OCTET_MAX = 255

Choice = TypeVar("Choice", bound=StrEnum)


class Bind(StrEnum):
    """How an account is bound: one connection both ways, one for each way, or one that hears of no receipts."""

    TRX = "trx"
    PAIR = "tx+rx"
    TX = "tx"


class Validity(StrEnum):
    """Whether the SMSC is told how long a message is worth anything."""

    RELATIVE = "relative"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Numbering:
    """Type of number and numbering plan, each one octet."""

    ton: int
    npi: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything an account says, checked. Times in seconds; the password does not print."""

    endpoint: Endpoint
    system_id: bytes
    password: bytes = field(repr=False)
    system_type: bytes = b""
    address_range: bytes = b""
    bind: Bind = Bind.TRX
    window: int = 10
    enquire_s: int = 30
    response_s: float = 5.0
    throttle_ms: int = 1_000
    alphabet: Alphabet = Alphabet.GSM7
    long: Long = Long.UDH
    id_format: IdFormat = IdFormat.EXACT
    registered_delivery: int = 1
    validity: Validity = Validity.RELATIVE
    validity_floor_s: int = 0
    service_type: bytes = b""
    source: Numbering | None = None
    dest: Numbering = Numbering(1, 1)
    parameters: tuple[Parameter, ...] = ()
    statuses: Mapping[int, OutcomeClass] = field(default_factory=dict)


OPTIONS: Final = frozenset({
    "system_id", "system_type", "address_range", "bind", "binds", "window", "enquire_s", "throttle_ms", "alphabet",
    "long", "id_format", "registered_delivery", "validity", "validity_floor_s", "service_type", "source_ton",
    "source_npi", "dest_ton", "dest_npi", "tls_ca", "tls_server_name",
})  # fmt: skip


def read(account: Account) -> Terms:
    """The terms of an account. Raises ValueError naming the field, the option or the secret that is wrong."""
    options = account.options
    for name, value in options.items():
        if name.startswith(reasons.REASON_PREFIX):
            reasons.check(f"options.{name}", name.removeprefix(reasons.REASON_PREFIX), value)
        elif name not in OPTIONS and not name.startswith((TLV_PREFIX, STATUS_PREFIX)):
            raise ValueError(f"options.{name}: there is no such option; there are {', '.join(sorted(OPTIONS))}")
    bind = _choice(options, "bind", Bind.TRX)
    return Terms(
        endpoint=_endpoint(account.url, options, bind),
        system_id=_string(options, "system_id", 15, required=True),
        password=_string(account.secrets, "password", 16, table="secrets"),
        system_type=_string(options, "system_type", 12),
        address_range=_string(options, "address_range", 40),
        bind=bind,
        window=_number(options, "window", 10, 1, 1_000),
        enquire_s=_number(options, "enquire_s", 30, 1, 600),
        response_s=account.timeout_ms / 1_000,
        throttle_ms=_number(options, "throttle_ms", 1_000, 0, 60_000),
        alphabet=_choice(options, "alphabet", Alphabet.GSM7),
        long=_choice(options, "long", Long.UDH),
        id_format=_choice(options, "id_format", IdFormat.EXACT),
        registered_delivery=_number(options, "registered_delivery", 0 if bind is Bind.TX else 1, 0, _OCTET_MAX),
        validity=_choice(options, "validity", Validity.RELATIVE),
        validity_floor_s=_number(options, "validity_floor_s", 0, 0, 86_400),
        service_type=_string(options, "service_type", 5),
        source=_numbering(options, "source") if "source_ton" in options else None,
        dest=_numbering(options, "dest") if "dest_ton" in options else Numbering(1, 1),
        parameters=parameters_of(options),
        statuses=dict(_status(name, value) for name, value in options.items() if name.startswith(STATUS_PREFIX)),
    )


def _endpoint(url: str, options: Mapping[str, str], bind: Bind) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("url: not an address") from None
    if parts.scheme not in ("smpp", "smpps") or not parts.hostname or "@" in parts.netloc or port == 0:
        raise ValueError("url: must be smpp://host[:port], or smpps:// for TLS")
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        raise ValueError("url: must hold no path, query or fragment")
    tls = parts.scheme == "smpps"
    roles = ("tx", "rx") if bind is Bind.PAIR else (bind.value,)
    return Endpoint(
        host=parts.hostname,
        port=port or (TLS_PORT if tls else PLAIN_PORT),
        roles=roles * _number(options, "binds", 1, 1, 32),
        only_receive=frozenset({"rx"}),
        tls=tls,
        tls_ca=options.get("tls_ca", ""),
        tls_server_name=options.get("tls_server_name", ""),
    )


def _string(
    told: Mapping[str, str], name: str, length_max: int, *, required: bool = False, table: str = "options"
) -> bytes:
    value = told.get(name, "")
    if len(value) > length_max or not value.isascii() or not value.isprintable() or (required and not value):
        least = 1 if required else 0
        raise ValueError(f"{table}.{name}: must be {least}-{length_max} printable ASCII characters")
    return value.encode("ascii")


def _number(options: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = options.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and least <= int(value) <= most):
        raise ValueError(f"options.{name}: must be a whole number from {least} to {most}")
    return int(value)


def _choice(options: Mapping[str, str], name: str, default: Choice) -> Choice:
    kind: Callable[[str], Choice] = type(default)
    try:
        return kind(options.get(name, default.value))
    except ValueError:
        known = ", ".join(each.value for each in type(default))
        raise ValueError(f"options.{name}: must be one of {known}") from None


def _numbering(options: Mapping[str, str], whose: str) -> Numbering:
    ton = _number(options, f"{whose}_ton", 0, 0, _OCTET_MAX)
    return Numbering(ton, _number(options, f"{whose}_npi", 0, 0, _OCTET_MAX))


def _status(option: str, value: str) -> tuple[int, OutcomeClass]:
    code = option.removeprefix(STATUS_PREFIX).lower().removeprefix("0x")
    if not _STATUS.fullmatch(code):
        raise ValueError(f"options.{option}: a command status is written in hexadecimal, as in status_58")
    try:
        return int(code, 16), OutcomeClass(value)
    except ValueError:
        raise ValueError(f"options.{option}: must be one of {', '.join(OutcomeClass)}") from None
