"""Settings: the environment (`WATCHWORD_…`) over one TOML file (`WATCHWORD_CONFIG`) over defaults.

This is the only module that reads the environment. A value that cannot be used, or a name that nobody reads, ends
in a SettingsError that says which variable, where it came from and what to do; commands exit 2 on it.
"""

import difflib
import importlib
import os
import pkgutil
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

import watchword

PREFIX = "WATCHWORD_"
CONFIG = f"{PREFIX}CONFIG"
_TOML_MAX = 1_000_000

Port = Annotated[int, Field(ge=0, le=65_535)]
Words = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """The settings cannot be used. One sentence or two per problem; secrets are never among the words."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Dsn(SecretStr):
    """A connection address that prints without its password; `get_secret_value()` is the whole."""

    def _display(self) -> str:
        return _without_password(self.get_secret_value())


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as it is in force. `value` is masked where it is secret; `source` is "environment",
    "<file>:<line>" or "default"."""

    name: str
    value: str
    source: str
    help: str


class Settings(BaseSettings):
    """What every settings class does: frozen, strict about names, sources in one order."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments (tests only), then the environment, then the file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=dict(cls._given_in_file()))

    @classmethod
    def load(cls) -> Self:
        """The settings in force. Raises SettingsError naming every field that cannot be used."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError(*(_problem(cls, dict(one)) for one in error.errors(include_url=False))) from None

    @classmethod
    def table(cls) -> str:
        """The TOML table the fields stand in, "" for the top of the file."""
        prefix = str(cls.model_config.get("env_prefix", PREFIX))
        return prefix.removeprefix(PREFIX).rstrip("_").lower()

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return f"{cls.model_config.get('env_prefix', PREFIX)}{field}".upper()

    def explain(self) -> list[Explained]:
        """Every field: value (masked), source, help."""
        return [
            Explained(self.variable(name), str(getattr(self, name)), _source(type(self), name), info.description or "")
            for name, info in type(self).model_fields.items()
        ]

    def need(self, *fields: str) -> None:
        """Raises SettingsError for each of `fields` that is empty: what a command cannot do without."""
        missing = [name for name in fields if not _clear(getattr(self, name))]
        if missing:
            raise SettingsError(*(_missing(type(self), name) for name in missing))

    @classmethod
    def _given_in_file(cls) -> Mapping[str, Any]:
        given = _file().tables
        if cls.table():
            table = given.get(cls.table(), {})
            return table if isinstance(table, dict) else {}
        return {key: value for key, value in given.items() if not isinstance(value, dict)}


class WorkerSettings(Settings):
    """The base of a worker's own settings. A subclass sets `model_config = for_worker("codes")`: its fields are
    then `WATCHWORD_CODES_<FIELD>` and stand in the TOML table `[codes]`."""


def for_worker(worker: str) -> SettingsConfigDict:
    """The configuration of a worker's settings class."""
    return SettingsConfigDict(env_prefix=f"{PREFIX}{worker.upper().replace('.', '_')}_")


class RuntimeSettings(Settings):
    """What every process needs, whichever workers it runs."""

    postgres: Dsn = Field(
        default=Dsn(""), description="Postgres address, postgresql://user:password@host:port/database"
    )
    kafka: str = Field(default="", description="Kafka bootstrap servers, host:port separated by commas")
    kafka_security: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        default="PLAINTEXT", description="How to speak to Kafka: PLAINTEXT, SASL_PLAINTEXT, SASL_SSL or SSL"
    )
    kafka_username: str = Field(default="", description="SCRAM-SHA-512 user, where kafka_security has SASL")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="SCRAM-SHA-512 password")
    kafka_ca: str = Field(
        default="", description="Path of the certificate authority of Kafka's servers; empty: the system's"
    )
    keyring: str = Field(default="", description="Path of the keyring file (`watchword keys init PATH`)")
    topic_prefix: str = Field(
        default="", description="Put before every topic name; tests set one", pattern=r"^[a-zA-Z0-9._-]*$"
    )
    group_prefix: str = Field(default="", description="Put before every consumer group", pattern=r"^[a-zA-Z0-9._-]*$")
    ordinal: int = Field(default=0, ge=0, le=9_999, description="Number of this process among its like, from 0")
    partitions: Literal["local", "production"] = Field(
        default="local", description="Which partition counts topics are made with"
    )
    ops_host: str = Field(default="127.0.0.1", description="Address of the operations port")
    ops_port: Port = Field(default=0, description="Port of /livez, /readyz and /metrics; 0: none")
    ops_tls: bool = Field(
        default=False, description="Whether the operations port speaks HTTPS too, with the doors' certificate"
    )
    drain_notice_s: float = Field(
        default=0, ge=0, le=60, description="Seconds from not ready to closing the doors, for balancers to notice"
    )
    http_host: str = Field(default="127.0.0.1", description="Address of the HTTP doors")
    http_port: Port = Field(default=8080, description="Port of the public API")
    receipts_http_port: Port = Field(default=8081, description="Port that carriers call with receipts")
    public_receipts_url: str = Field(default="", description="Address under which carriers reach the receipts port")
    tls_certificate: str = Field(
        default="", description="Path of the doors' certificate chain (PEM), read again when it changes"
    )
    tls_key: str = Field(default="", description="Path of its key (PEM), read again when it changes")
    trusted_proxies: Words = Field(
        default=(), description="Networks (CIDR, separated by commas) of proxies that end TLS for us"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, else json"
    )
    failpoints: str = Field(
        default="", description="Places where a test stops this process: name:hits:kill|freeze, by commas"
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, (word.strip() for word in value.split(",")))) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            ip_network(word)
        return value

    @field_validator("postgres", mode="after")
    @classmethod
    def _is_postgres(cls, value: Dsn) -> Dsn:
        clear = value.get_secret_value()
        if clear and not clear.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value


def load_runtime() -> RuntimeSettings:
    """The runtime's settings, after a look for names in the environment and the file that nobody reads.

    Raises SettingsError.
    """
    if unknown := _unknown_names():
        raise SettingsError(*unknown)
    return RuntimeSettings.load()


def environment_value(name: str) -> str | None:
    """A variable that a configuration file names (`secrets = {token = "env:NAME"}`), None if it is not set."""
    return os.environ.get(name)


def worker_settings() -> list[type[WorkerSettings]]:
    """The settings class of every worker, found by its folder: `watchword.<worker>.settings`."""
    for found in pkgutil.iter_modules(watchword.__path__, f"{watchword.__name__}."):
        if found.ispkg and not found.name.endswith(".runtime") and _has_settings(found.name):
            importlib.import_module(f"{found.name}.settings")
    return [known for known in WorkerSettings.__subclasses__() if known.__module__.startswith("watchword.")]


def _has_settings(package: str) -> bool:
    folder = Path(watchword.__path__[0]) / package.rpartition(".")[2]
    return (folder / "settings.py").exists()


# The file --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    text: str
    tables: Mapping[str, Any]

    def line_of(self, table: str, key: str) -> int:
        """The line a key stands on, from 1; 0 if it is written in a way that is not searched for."""
        current = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[([^\[\]]+)\]", line):
                current = header[1].strip()
            if header and not table and key == current:
                return number
            if current == table and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
        return 0


def _file() -> _File:
    path = os.environ.get(CONFIG, "")
    if not path:
        return _File("", "", {})
    try:
        with Path(path).open("rb") as file:
            text = file.read(_TOML_MAX).decode()
        return _File(path, text, tomllib.loads(text))
    except OSError as error:
        raise SettingsError(f"{CONFIG}={path} (environment): {error.strerror}. Name a file that can be read.") from None
    except (ValueError, RecursionError) as error:  # not only what TOML calls a fault: endless numbers, endless brackets
        raise SettingsError(f"{path} is not TOML: {error}. Correct it there.") from None


# Words about problems --------------------------------------------------------------------------------------------


def _source(cls: type[Settings], name: str) -> str:
    if cls.variable(name) in {key.upper() for key in os.environ}:
        return "environment"
    if name in cls._given_in_file():
        file = _file()
        return f"{file.path}:{file.line_of(cls.table(), name) or '?'}"
    return "default"


def _problem(cls: type[Settings], error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    info: FieldInfo | None = cls.model_fields.get(name)
    if info is None:
        return _unknown(name, f"{_file().path}", list(cls.model_fields), cls.table())
    told = str(error["msg"]).removeprefix("Value error, ")
    return f"{cls.variable(name)} ({_source(cls, name)}): {told}. It is: {info.description}."


def _missing(cls: type[Settings], name: str) -> str:
    info = cls.model_fields[name]
    return f"{cls.variable(name)} is not set ({_source(cls, name)}) and is needed here. Set it to: {info.description}."


def _unknown_names() -> list[str]:
    classes: list[type[Settings]] = [RuntimeSettings, *worker_settings()]
    known = [cls.variable(name) for cls in classes for name in cls.model_fields] + [CONFIG]
    given = (name for name in os.environ if name.upper().startswith(PREFIX))
    problems = [_unknown(name, "environment", known) for name in sorted(given) if name.upper() not in known]
    tables = {cls.table(): list(cls.model_fields) for cls in classes}
    for key, value in _file().tables.items():
        if isinstance(value, dict) and key in tables and key:
            problems += [_unknown_key(key, name, tables[key]) for name in value if name not in tables[key]]
        elif key not in tables[""]:
            problems.append(_unknown_key("", key, [*tables[""], *filter(None, tables)]))
    return problems


def _unknown_key(table: str, name: str, known: list[str]) -> str:
    file = _file()
    return _unknown(name, f"{file.path}:{file.line_of(table, name) or '?'}", known, table)


def _unknown(name: str, source: str, known: list[str], table: str = "") -> str:
    near = difflib.get_close_matches(name.upper() if source == "environment" else name, known, n=1, cutoff=0.6)
    where = f"{name} in [{table}]" if table else name
    fix = (
        f"Did you mean {near[0]}?" if near else "Remove it, or see `watchword config explain` for the names there are."
    )
    return f"{where} ({source}) is not a setting. {fix}"


def _clear(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    if parts.password is None:
        masked = address
    else:
        user, _, host = parts.netloc.rpartition("@")
        masked = urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:****@{host}"))
    return re.sub(r"((?:password|sslpassword)=)[^&\s]+", r"\1****", masked)
