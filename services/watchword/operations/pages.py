"""The operations ports of running workers, read over HTTP: /metrics as samples, /readyz as checks."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from watchword.runtime.health import CheckState

ANSWER_WITHIN_S = 2.0
PAGE_BYTES_MAX = 4 * 1024 * 1024
HTTP_PORT = 80
PORTS_FILE = Path(".watchword") / "ports.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a metrics page. `name` is the exposed one, suffixes such as _total and _bucket included."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """One process as its port tells it. `problem` says why it could not be read; it has no samples then. `read_s` is
    the moment it was read on a clock that only goes forward."""

    url: str
    read_s: float
    samples: tuple[Sample, ...] = ()
    checks: tuple[CheckState, ...] = field(default=())
    problem: str = ""

    def of(self, name: str) -> Iterator[Sample]:
        """The samples of that name."""
        return (sample for sample in self.samples if sample.name == name)

    @property
    def failing(self) -> tuple[CheckState, ...]:
        """The checks that are not well."""
        return tuple(check for check in self.checks if not check.ok)


class PortsUnknown(Exception):
    """Nobody said where the operations ports are. The message says how to."""


def known_ports(given: Sequence[str], file: Path = PORTS_FILE) -> tuple[str, ...]:
    """The addresses given, or those that `watchword up` wrote to its directory. Raises PortsUnknown."""
    if given:
        return tuple(url.rstrip("/") for url in given)
    try:
        return tuple(map(str, json.loads(file.read_text("utf-8"))["ops"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise PortsUnknown(
            f"no operations port is known: name them with --ops http://host:port, or start `watchword up` ({file})"
        ) from None


def of_each_address(url: str, found: Sequence[str]) -> tuple[str, ...]:
    """`url` once for each address that its host name has, or as it is where it has one or none. Pure."""
    parts = urlsplit(url)
    if parts.hostname is None or len(found) < 2:
        return (url,)
    hosts = [f"[{address}]" if ":" in address else address for address in sorted(set(found))]
    return tuple(parts._replace(netloc=f"{host}:{parts.port or HTTP_PORT}").geturl() for host in hosts)


async def every_copy(urls: Sequence[str]) -> tuple[str, ...]:
    """The addresses behind `urls`: a name with several stands for every copy of a worker."""
    found = await asyncio.gather(*(_addresses(url) for url in urls))
    return tuple(one for url, some in zip(urls, found, strict=True) for one in of_each_address(url, some))


async def _addresses(url: str) -> list[str]:
    """What its host name resolves to, of one family: a machine may be told twice. [] for a name that nobody knows."""
    host = urlsplit(url).hostname
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            told = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return []
    return [str(place[0]) for family, *_, place in told if family == told[0][0]]


async def read_pages(urls: Sequence[str]) -> list[Page]:
    """Every page, in the order of `urls`. Never raises for what a process does not answer."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return list(await asyncio.gather(*(_read(session, url) for url in urls)))


def samples_of(text: str) -> tuple[Sample, ...]:
    """The samples of a page in Prometheus' text format. Raises ValueError where it is none."""
    return tuple(
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )


async def _read(session: aiohttp.ClientSession, url: str) -> Page:
    try:
        checks = msgspec.json.decode(await _body(session, f"{url}/readyz"), type=tuple[CheckState, ...])
        samples = samples_of((await _body(session, f"{url}/metrics")).decode())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return Page(url, time.monotonic(), problem=f"{type(error).__name__}: {error}".rstrip(": "))
    return Page(url, time.monotonic(), samples, checks)


async def _body(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as answer:
        body = await answer.content.read(PAGE_BYTES_MAX)
        while not answer.content.at_eof():
            more = await answer.content.read(PAGE_BYTES_MAX)
            body += more
            if len(body) > PAGE_BYTES_MAX:
                raise ValueError(f"{url} is larger than {PAGE_BYTES_MAX} bytes")
        return body
